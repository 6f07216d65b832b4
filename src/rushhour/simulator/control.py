"""The control door under `/_sim/`: look at the ledger, begin anew. It is never throttled and never fails on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from rushhour.simulator.exchange import Reply, Request, json_reply

Command: TypeAlias = Callable[[Request], Reply]
_YES = frozenset({"1", "true", "yes"})
_NO = frozenset({"", "0", "false", "no"})
_FLAGS = frozenset({"vectors"})


class Control:
    """`GET /_sim/state` and `POST /_sim/reset[?vectors=1]`."""

    prefix = "/_sim/"

    def __init__(self, state: Callable[[], Mapping[str, Any]], reset: Callable[[bool], None]) -> None:
        self._state = state
        self._reset = reset
        self._commands: dict[tuple[str, str], Command] = {
            ("GET", "/_sim/state"): self._show_state,
            ("POST", "/_sim/reset"): self._begin_anew,
        }

    def answer(self, request: Request) -> Reply:
        """Do what a control request asks, at once."""
        command = self._commands.get((request.method, request.path))
        if command is None:
            known = ", ".join(f"{method} {path}" for method, path in self._commands)
            message = f"There is no {request.method} {request.path}. Known are: {known}."
            return json_reply({"error": {"message": message}}, 404)
        return command(request)

    def _show_state(self, _request: Request) -> Reply:
        return json_reply(self._state())

    def _begin_anew(self, request: Request) -> Reply:
        unknown = set(request.query) - _FLAGS
        flag = request.parameter("vectors").lower()
        if unknown or flag not in _YES | _NO:
            message = f"Cannot reset with {dict(request.query)}. The one parameter is vectors, 1 or 0."
            return json_reply({"error": {"message": message}}, 400)
        self._reset(flag in _YES)
        return json_reply({"reset": True, "vectors": flag in _YES})
