"""What each client did to the providers: the account that a rehearsal is judged by.

A client is the header `x-sim-client`, or else the API key. A call has one outcome: `ok`; `throttled` (429, by kind,
whether earned or a fault); `faults` (any other fault, by name); `rejected` (another 4xx or 5xx, by status);
`abandoned` (the client left before its reply was through).
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from rushhour.simulator.accounts import Client, Tally
from rushhour.simulator.conduct import Conduct
from rushhour.simulator.series import Series

_PASSING = frozenset({408, 409, 425, 429})
"""The 4xx that another attempt may turn into success."""


class Entry(msgspec.Struct):
    """The line of one call, which surfaces fill in as they learn.

    `at` is in seconds since the last reset; `texts` are hashes of what the call had embedded and pays for;
    `truncated` tells that a fault broke the answer off.
    """

    client: str
    surface: str
    operation: str
    at: float
    fingerprint: int
    throttled: str = ""
    terminal: bool = False
    retry_after: float = 0.0
    fault: str = ""
    truncated: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    read_units: int = 0
    texts: list[int] = msgspec.field(default_factory=list)


class Connection:
    """A client's connection; it belongs to the client whose call came first over it since the last reset.

    `calls` counts those that came over it since it was opened.
    """

    __slots__ = ("book", "calls", "client")

    def __init__(self) -> None:
        self.calls = 0
        self.book: Ledger | None = None
        self.client: Client | None = None

    def lost(self) -> None:
        """Note that it is closed."""
        if self.client is not None:
            self.client.open -= 1
            self.client = None


class Ledger:
    """All accounts since the last reset, which begins a new ledger; late replies settle in the old one."""

    def __init__(self, now: float) -> None:
        self._epoch = now
        self._clients: dict[str, Client] = {}
        self._series = Series()

    def arrive(
        self,
        client: str,
        surface: str,
        operation: str,
        fingerprint: int,
        connection: Connection,
        now: float,
        attempt: int | None = None,
    ) -> Entry:
        """Begin the line of a call; `fingerprint` is the same for two calls that ask the same."""
        account = self._clients.get(client)
        if account is None:
            account = self._clients[client] = Client()
        connection.calls += 1
        if connection.book is not self:
            connection.book, connection.client = self, account
            account.connections += 1
            account.open += 1
            account.peak = max(account.peak, account.open)
        at = now - self._epoch
        account.conduct.asked(fingerprint, at, attempt)
        return Entry(client, surface, operation, at, fingerprint)

    def settle(self, entry: Entry, status: int, *, delivered: bool, received: int, sent: int) -> None:
        """End the line of a call: its HTTP status, whether all of the reply left, and the bytes both ways."""
        account = self._clients[entry.client]
        tally = account.tally(entry.surface)
        tally.calls += 1
        tally.operations[entry.operation] += 1
        tally.bytes_in += received
        tally.bytes_out += sent
        tally.tokens_in += entry.tokens_in
        tally.tokens_out += entry.tokens_out
        tally.read_units += entry.read_units
        tally.cost_usd += entry.cost_usd
        if entry.texts:
            account.embedded += len(entry.texts)
            account.texts.update(entry.texts)
        self._series.count(entry.surface, entry.client, _outcome(entry, tally, status, delivered), entry.at)
        _note(account.conduct, entry, status, delivered)

    def as_json(self) -> dict[str, Any]:
        """Return clients, surfaces and series as `GET /_sim/state` shows them."""
        surfaces: dict[str, Tally] = {}
        for account in self._clients.values():
            for name, tally in account.surfaces.items():
                surfaces.setdefault(name, Tally()).add(tally)
        return {
            "clients": {name: account.as_json() for name, account in sorted(self._clients.items())},
            "surfaces": {name: tally.as_json() for name, tally in sorted(surfaces.items())},
            "series": self._series.as_json(),
        }

    def verdict(self, client: str = "") -> dict[str, Any]:
        """Return the verdict on one client, if it is known, or on all."""
        return {
            name: account.verdict() for name, account in sorted(self._clients.items()) if not client or name == client
        }


def _outcome(entry: Entry, tally: Tally, status: int, delivered: bool) -> str:
    """Count the call's outcome; return how the series calls it."""
    if entry.throttled:
        tally.throttled[entry.throttled] += 1
        return "throttled"
    if entry.fault:
        tally.faults[entry.fault] += 1
        return "failed"
    if status >= 400:
        tally.rejected[str(status)] += 1
        return "failed"
    if delivered:
        tally.ok += 1
    else:
        tally.abandoned += 1
    return "accepted"


def _note(conduct: Conduct, entry: Entry, status: int, delivered: bool) -> None:
    """Note what the call says about the client's manners."""
    if entry.terminal:
        conduct.refused(entry.fingerprint, entry.at, math.inf, entry.throttled or str(status))
    elif entry.throttled:
        conduct.refused(entry.fingerprint, entry.at, entry.retry_after, entry.throttled)
    elif entry.truncated:
        conduct.half_served(entry.fingerprint)
    elif entry.fault:
        return
    elif 400 <= status < 500 and status not in _PASSING:
        conduct.refused(entry.fingerprint, entry.at, math.inf, str(status))
    elif status < 400:
        conduct.served(entry.fingerprint, entry.cost_usd, delivered=delivered)
