"""Rules of the report's advice on one run: what went wrong with it, and what would mend that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from rushhour.rehearse.judge import PASSED_ON_429
from rushhour.rehearse.limit_words import holder
from rushhour.rehearse.results import Rehearsal, Run
from rushhour.rehearse.words import count, label_of, ratio, share

Kind = Literal["act", "care", "good"]
OWN = ("production", "target")
"""Pipelines that the reader can mend; the others are there to compare with."""
_HANDED_ON = (PASSED_ON_429, "RateLimitError")
_MONEY = ("insufficient_quota", "upstream_quota_exhausted")
_DOWN = ("upstream_unavailable", "circuit_open", "server_error", "server_is_overloaded", "InternalServerError")
_CONNECTIONS = ("APIConnectionError", "APITimeoutError", "ServerDisconnectedError", "ClientOSError", "connection_reset")
_CUT = ("truncated_stream", "upstream_truncated_stream")


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do, or to know; `command` is what to type, where there is something."""

    kind: Kind
    text: str
    command: str = ""


def _failed(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    """Sum up a tutorial's pipeline in one line: whom it failed, how, and what would have helped."""
    if run.pipeline in OWN or not run.errors:
        return
    kinds = [f"{label_of(kind)} ({number:,})" for kind, number in list(run.errors.items())[:3]]
    more = len(run.errors) - len(kinds)
    told = f"{run.pipeline} failed {_of(sum(run.errors.values()), rehearsal)}: {', '.join(kinds)}"
    told += f", and {count(more, 'other way')}." if more > 0 else "."
    best = next((one for one in rehearsal.runs if one.pipeline == "production"), None)
    if best is not None and best.answered > run.answered:
        told += (
            f" With the same provider production answered {best.answered:,}: an app that works like {run.pipeline} "
            "gains "
            "that by pointing its base_url at rushhour."
        )
    elif any(kind in run.errors for kind in _HANDED_ON):
        told += " Pace the calls to the limit and let them wait in one queue, or point its base_url at rushhour."
    yield Advice("act", told)


def _surfaced(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    number = sum(run.errors.get(kind, 0) for kind in _HANDED_ON)
    if not number or run.pipeline not in OWN:
        return
    told = f"{run.pipeline} handed the provider’s 429 to {_of(number, rehearsal)}"
    if run.pipeline == "production":
        yield Advice("act", f"{told}. Tell it the limits: RUSHHOUR_CHAT__RPM and RUSHHOUR_CHAT__TPM.")
    else:
        yield Advice(
            "act",
            f"{told}. Pace the calls to the limit and let them wait in one queue, or point its base_url at rushhour.",
        )


def _lost(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    if run.pipeline not in OWN:
        return
    if number := sum(run.errors.get(kind, 0) for kind in _CONNECTIONS):
        yield Advice(
            "act",
            f"{run.pipeline} lost connections or timed out for {_of(number, rehearsal)}, after opening "
            f"{count(run.connections, 'connection')}. Share one client, and retry what may pass.",
        )
    if cut := sum(run.errors.get(kind, 0) for kind in _CUT):
        yield Advice(
            "act",
            f"{run.pipeline} gave {_of(cut, rehearsal)} an answer that was cut off, as an error: they may ask again.",
        )


def _gave_up(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    if run.pipeline in OWN and (number := run.errors.get("gave_up", 0)):
        yield Advice(
            "act",
            f"{run.pipeline} kept {_of(number, rehearsal)} waiting until they gave up. Refuse early, with a time to "
            "come "
            "back, whom no answer can reach in time.",
        )


def _down(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    if run.pipeline not in OWN:
        return
    money = sum(run.errors.get(kind, 0) for kind in _MONEY)
    if money:
        yield Advice(
            "act", f"The provider’s account is empty ({count(money, 'user')} of {run.pipeline}): add money to it."
        )
    down = sum(run.errors.get(kind, 0) for kind in _DOWN)
    if down:
        remedy = (
            "Name a second model under [[chat.fallbacks]]." if run.pipeline == "production" else "Retry what may pass."
        )
        yield Advice("act", f"{run.pipeline} failed {_of(down, rehearsal)} because the provider did. {remedy}")
    if run.degraded:
        kind, number = max(run.degraded.items(), key=lambda item: item[1])
        told = (
            f"{run.pipeline} answered {_of(sum(run.degraded.values()), rehearsal)} with less than was asked, and "
            "said so; "
            f"most often {kind.replace('_', ' ')} ({number:,})."
        )
        if rehearsal.floor.closed_s or sum(run.degraded.values()) < rehearsal.users / 10:
            yield Advice("good", told)
        else:
            yield Advice("act", f"{told} A second model under [[chat.fallbacks]] answers in full while one is overrun.")


def _else(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    """Tell of failures for which there is no rule: none may pass unnoticed."""
    ruled = (*_HANDED_ON, *_MONEY, *_DOWN, *_CONNECTIONS, *_CUT, "gave_up")
    other = {kind: number for kind, number in run.errors.items() if kind not in ruled}
    if run.pipeline in OWN and other:
        kinds = ", ".join(f"{label_of(kind)} ({number:,})" for kind, number in list(other.items())[:3])
        yield Advice(
            "act", f"{run.pipeline} failed {_of(sum(other.values()), rehearsal)} otherwise: {kinds}. Its log tells why."
        )


def _wrong(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    if run.wrong:
        yield Advice(
            "act",
            f"{run.pipeline} gave {_of(run.wrong, rehearsal)} a wrong answer that looked like a right one. Treat a "
            "stream "
            "without a finish reason as an error, and never an error as “nothing found”.",
        )


def _refused(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    if not run.refused_first:
        return
    again = run.returned
    told = f"{run.pipeline} refused {_of(run.refused_first, rehearsal)} at first, with a time to come back"
    if not again.users:
        yield Advice("act", f"{told}; nobody came back. Longer patience (RUSHHOUR_SERVER__DEADLINE_S) refuses fewer.")
        return
    told += f"; {again.answered:,} of the {again.users:,} who obeyed were then answered"
    if again.answered == again.users:
        yield Advice("good", f"{told}: its word holds.")
        return
    yield Advice(
        "act",
        f"{told}, {again.refused:,} refused again. More come than {holder(rehearsal.floor)} can let pass within their "
        f"patience: {_more(rehearsal)}, or name a second model under [[chat.fallbacks]].",
    )


def _more(rehearsal: Rehearsal) -> str:
    return "raise the limit" if rehearsal.floor.slots is None else "add slots (a larger server, or one more)"


def _manners(run: Run, _: Rehearsal) -> Iterator[Advice]:
    if run.pipeline not in ("production", "target") or not run.verdict or run.verdict.get("verdict") != "bad":
        return
    bad = [line for line in run.verdict.get("lines", ()) if line.get("severity") == "bad"]
    for line in bad[:1]:
        yield Advice("act", f"The provider complains about {run.pipeline}: {line.get('text')}")


def _waste(run: Run, rehearsal: Rehearsal) -> Iterator[Advice]:
    if run.answered < rehearsal.users:  # whom it failed matters more
        return
    best = min((one.embeddings_per_answer for one in rehearsal.runs if one.embeddings_per_answer), default=None)
    mine = run.embeddings_per_answer
    if best is not None and mine is not None and mine > 3 * best:
        yield Advice(
            "act",
            f"{run.pipeline} made {ratio(mine)} embedding calls for each right answer, {mine / best:.0f} times as "
            "many as "
            "needed: questions that wait at the same moment fit into one call.",
        )


RULES: tuple[Callable[[Run, Rehearsal], Iterator[Advice]], ...] = (
    _wrong, _failed, _surfaced, _lost, _gave_up, _down, _else, _refused, _manners, _waste,
)  # fmt: skip


def _of(number: int, rehearsal: Rehearsal) -> str:
    return f"{number:,} of {rehearsal.users:,} users ({share(number, rehearsal.users)})"
