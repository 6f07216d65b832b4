"""The verdict on a client: its manners towards a provider, in plain words, from what the ledger counted.

Pure arithmetic. `bad` is what a provider punishes or a user pays for; `note` is worth knowing; `good` is all else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["good", "note", "bad"]
_ORDER: Mapping[Severity, int] = {"bad": 0, "note": 1, "good": 2}
_FEW_CALLS = 20
_SHARE_NOTED = 0.01
_SHARE_BAD = 0.05
_MANY_CONNECTIONS = 1_000
_TERMINAL_WORDS = {
    "billing": "after a refusal for money",
    "month": "after the month's units were used up",
    "too_large": "after 'Request too large'",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one client did, in sums; costs are in $."""

    calls: int = 0
    ok: int = 0
    throttled: int = 0
    abandoned: int = 0
    connections: int = 0
    peak_connections: int = 0
    terminal_retries: Mapping[str, int] = field(default_factory=dict)
    too_early: int = 0
    early_by_s: float = 0.0
    patient: int = 0
    told_retries: int = 0
    duplicates: int = 0
    duplicate_cost_usd: float = 0.0
    abandoned_cost_usd: float = 0.0
    cost_usd: float = 0.0
    truncated: int = 0
    reasked: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One finding: how bad, about what, how many, in words."""

    severity: Severity
    topic: str
    count: int
    text: str

    def as_json(self) -> dict[str, Any]:
        """Return it as `GET /_sim/verdict` shows it."""
        return {"severity": self.severity, "topic": self.topic, "count": self.count, "text": self.text}


def judge(figures: Figures) -> list[Line]:
    """Return the findings, worst first; a client without a blemish gets one line that says so."""
    found = [line for rule in _RULES if (line := rule(figures)) is not None]
    if not found:
        found = [Line("good", "manners", figures.calls, f"{_times(figures.calls, 'call')}, and nothing to object to.")]
    return sorted(found, key=lambda line: _ORDER[line.severity])


def worst(lines: list[Line]) -> Severity:
    """Return the severity of the worst finding."""
    return min((line.severity for line in lines), key=lambda severity: _ORDER[severity], default="good")


def _terminal_retries(figures: Figures) -> Line | None:
    total = sum(figures.terminal_retries.values())
    if not total:
        return None
    kinds = ", ".join(
        f"{count} {_TERMINAL_WORDS.get(kind, f'after status {kind}')}"
        for kind, count in sorted(figures.terminal_retries.items())
    )
    return Line(
        "bad",
        "retries of terminal errors",
        total,
        f"Sent {_times(total, 'call')} again that can never succeed: {kinds}. Read the error's code, not only its "
        "status, and stop.",
    )


def _too_early(figures: Figures) -> Line | None:
    if not figures.too_early:
        return None
    told = figures.too_early + figures.patient
    return Line(
        "bad",
        "waits shorter than advised",
        figures.too_early,
        f"Came back too early {figures.too_early} of {_times(told, 'time')} after a 429, "
        f"{figures.early_by_s / figures.too_early:.2f} s too early on average. Wait as retry-after says, plus jitter.",
    )


def _truncated(figures: Figures) -> Line | None:
    unasked = figures.truncated - figures.reasked
    if not unasked:
        return None
    return Line(
        "bad",
        "truncated answers accepted",
        unasked,
        f"{unasked} of {_times(figures.truncated, 'answer')} that broke off in the middle "
        f"{'was' if unasked == 1 else 'were'} never asked for again: did the user see an error, or half an answer as a "
        "whole one? An answer without a finish reason is a failure.",
    )


def _throttled(figures: Figures) -> Line | None:
    share = figures.throttled / figures.calls if figures.calls else 0.0
    if share <= _SHARE_NOTED:
        return None
    return Line(
        "bad" if share > _SHARE_BAD else "note",
        "throttled",
        figures.throttled,
        f"{share:.1%} of {_times(figures.calls, 'call')} were refused with 429. Pace calls to the limit that every "
        "reply's headers tell, and far fewer are.",
    )


def _duplicates(figures: Figures) -> Line | None:
    if not figures.duplicates:
        return None
    return Line(
        "note",
        "duplicates paid for",
        figures.duplicates,
        f"Paid ${figures.duplicate_cost_usd:.4f} of ${figures.cost_usd:.4f} for {_times(figures.duplicates, 'call')} "
        "that asked exactly what had been answered before. A cache, or calls in flight that are shared, save that.",
    )


def _abandoned(figures: Figures) -> Line | None:
    share = figures.abandoned / figures.calls if figures.calls else 0.0
    if share <= _SHARE_NOTED:
        return None
    return Line(
        "bad" if share > _SHARE_BAD else "note",
        "abandoned",
        figures.abandoned,
        f"Left {_times(figures.abandoned, 'call')} of {figures.calls:,} before the reply was through, and paid "
        f"${figures.abandoned_cost_usd:.4f} for them. Send nothing that cannot finish in time.",
    )


def _connections(figures: Figures) -> Line | None:
    if figures.calls >= _FEW_CALLS and figures.connections > figures.calls / 2:
        text = (
            f"Opened {_times(figures.connections, 'connection')} for {_times(figures.calls, 'call')}: nearly each call "
            "pays for a handshake. Keep one client with one pool for the whole process."
        )
    elif figures.peak_connections > _MANY_CONNECTIONS:
        text = (
            f"Held {_times(figures.peak_connections, 'connection')} open at once. Bound the pool: a crowd of sockets "
            "slows the client down before it slows the provider."
        )
    else:
        return None
    return Line("note", "connections", figures.connections, text)


_RULES = (_terminal_retries, _too_early, _truncated, _throttled, _abandoned, _duplicates, _connections)


def _times(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
