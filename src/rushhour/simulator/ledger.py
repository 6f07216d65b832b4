"""What each client did to the providers: the account that a rehearsal is judged by.

A client is the header `x-sim-client`, or else the API key. Outcomes of a call: `ok`; `throttled` (429, by kind);
`rejected` (another 4xx or 5xx, by status); `faults` (an injected fault, by name); `abandoned` (the client left
before its reply was through).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from rushhour.simulator.series import Series

_TERMINAL = frozenset({400, 401, 403, 404, 405, 413, 422})


@dataclass(slots=True)
class Entry:
    """The line of one call, which surfaces fill in as they learn.

    `at` is in seconds since the last reset; `texts` are hashes of what the call had embedded and pays for.
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
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    read_units: int = 0
    texts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """The sums of one client on one surface."""

    calls: int = 0
    ok: int = 0
    abandoned: int = 0
    throttled: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    tokens_in: int = 0
    tokens_out: int = 0
    read_units: int = 0
    cost_usd: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally's sums to this one."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def as_json(self) -> dict[str, Any]:
        """Return the sums by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Client:
    """The account of one client."""

    surfaces: dict[str, Tally] = field(default_factory=dict)
    connections: int = 0
    open: int = 0
    peak: int = 0
    embedded: int = 0
    texts: set[int] = field(default_factory=set)
    retries_after_terminal: int = 0
    retries_too_early: int = 0
    refused: dict[int, float] = field(default_factory=dict)

    def tally(self, surface: str) -> Tally:
        """Return the client's tally on a surface."""
        return self.surfaces.setdefault(surface, Tally())

    def as_json(self) -> dict[str, Any]:
        """Return the account as `GET /_sim/state` shows it."""
        total = Tally()
        for tally in self.surfaces.values():
            total.add(tally)
        return {
            "total": total.as_json(),
            "surfaces": {name: tally.as_json() for name, tally in sorted(self.surfaces.items())},
            "connections": {"opened": self.connections, "open": self.open, "peak": self.peak},
            "texts": {
                "embedded": self.embedded,
                "distinct": len(self.texts),
                "duplicates": self.embedded - len(self.texts),
            },
            "retries_after_terminal": self.retries_after_terminal,
            "retries_too_early": self.retries_too_early,
        }


class Connection:
    """A client's connection; it belongs to the client whose call came first over it since the last reset."""

    __slots__ = ("book", "client")

    def __init__(self) -> None:
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
        self, client: str, surface: str, operation: str, fingerprint: int, connection: Connection, now: float
    ) -> Entry:
        """Begin the line of a call; `fingerprint` is the same for two calls that ask the same."""
        account = self._clients.setdefault(client, Client())
        if connection.book is not self:
            connection.book, connection.client = self, account
            account.connections += 1
            account.open += 1
            account.peak = max(account.peak, account.open)
        at = now - self._epoch
        if (until := account.refused.get(fingerprint)) is not None:
            if until == float("inf"):
                account.retries_after_terminal += 1
            elif at < until:
                account.retries_too_early += 1
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
        account.embedded += len(entry.texts)
        account.texts.update(entry.texts)
        self._series.count(entry.surface, entry.client, self._outcome(entry, tally, status, delivered), entry.at)
        self._remember_refusal(account, entry, status)

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

    @staticmethod
    def _outcome(entry: Entry, tally: Tally, status: int, delivered: bool) -> str:
        if entry.fault:
            tally.faults[entry.fault] += 1
            return "failed"
        if entry.throttled:
            tally.throttled[entry.throttled] += 1
            return "throttled"
        if status >= 400:
            tally.rejected[str(status)] += 1
            return "failed"
        if delivered:
            tally.ok += 1
        else:
            tally.abandoned += 1
        return "accepted"

    @staticmethod
    def _remember_refusal(account: Client, entry: Entry, status: int) -> None:
        if entry.fault:
            return
        if entry.terminal or status in _TERMINAL:
            account.refused[entry.fingerprint] = float("inf")
        elif entry.throttled:
            account.refused[entry.fingerprint] = entry.at + entry.retry_after
        else:
            account.refused.pop(entry.fingerprint, None)
