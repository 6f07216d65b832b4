"""The control door under `/_sim/`: look at the ledger, judge a client, make something fail, begin anew.

It is never throttled and never fails on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from rushhour.simulator.exchange import Reply, Request, json_reply
from rushhour.simulator.faults.orders import Order, OrderError, read_order

Command: TypeAlias = Callable[[Request], Reply]
_YES = frozenset({"1", "true", "yes"})
_NO = frozenset({"", "0", "false", "no"})


class Controlled(Protocol):
    """What the door opens on; all of it is ready for JSON."""

    def state(self) -> Mapping[str, Any]:
        """Return everything since the last reset."""
        ...

    def ledger(self) -> Mapping[str, Any]:
        """Return the accounts alone."""
        ...

    def verdict(self, client: str = "") -> Mapping[str, Any]:
        """Return the verdict on one client or all."""
        ...

    def faults(self) -> Mapping[str, Any]:
        """Return the faults there are, and those in force."""
        ...

    def inject(self, order: Order) -> list[str]:
        """Make something fail; return the surfaces."""
        ...

    def clear_faults(self) -> None:
        """Take back every order to fail."""
        ...

    def reset(self, vectors: bool = False) -> None:
        """Begin anew."""
        ...


class Control:
    """`/_sim/state`, `/_sim/ledger`, `/_sim/verdict[?client=]`, `/_sim/faults` and `POST /_sim/reset[?vectors=1]`."""

    prefix = "/_sim/"

    def __init__(self, controlled: Controlled) -> None:
        self._controlled = controlled
        self._commands: dict[tuple[str, str], Command] = {
            ("GET", "/_sim/state"): lambda _request: json_reply(controlled.state()),
            ("GET", "/_sim/ledger"): lambda _request: json_reply(controlled.ledger()),
            ("GET", "/_sim/verdict"): self._judge,
            ("GET", "/_sim/faults"): lambda _request: json_reply(controlled.faults()),
            ("POST", "/_sim/faults"): self._inject,
            ("DELETE", "/_sim/faults"): self._clear_faults,
            ("POST", "/_sim/reset"): self._begin_anew,
        }

    def answer(self, request: Request) -> Reply:
        """Do what a control request asks, at once."""
        command = self._commands.get((request.method, request.path))
        if command is None:
            known = ", ".join(f"{method} {path}" for method, path in self._commands)
            return _wrong(f"There is no {request.method} {request.path}. Known are: {known}.", 404)
        return command(request)

    def _judge(self, request: Request) -> Reply:
        unknown = set(request.query) - {"client"}
        if unknown:
            return _wrong(
                f"Cannot judge by {', '.join(sorted(unknown))}. The one parameter is client, a client's name."
            )
        client = request.parameter("client")
        clients = self._controlled.verdict(client)
        if client and not clients:
            known = ", ".join(self._controlled.verdict()) or "none so far"
            return _wrong(f"There is no client {client!r}. Known are: {known}.", 404)
        return json_reply({"clients": clients})

    def _inject(self, request: Request) -> Reply:
        try:
            order = read_order(request.body)
            surfaces = self._controlled.inject(order)
        except OrderError as wrong:
            return _wrong(str(wrong))
        return json_reply({"injected": order.fault, "surfaces": surfaces})

    def _clear_faults(self, _request: Request) -> Reply:
        self._controlled.clear_faults()
        return json_reply({"cleared": True})

    def _begin_anew(self, request: Request) -> Reply:
        flag = request.parameter("vectors").lower()
        if set(request.query) - {"vectors"} or flag not in _YES | _NO:
            return _wrong(f"Cannot reset with {dict(request.query)}. The one parameter is vectors, 1 or 0.")
        self._controlled.reset(flag in _YES)
        return json_reply({"reset": True, "vectors": flag in _YES})


def _wrong(message: str, status: int = 400) -> Reply:
    return json_reply({"error": {"message": message}}, status)
