"""What the report says of the provider's tightest limit, and of the floor that follows from it."""

from __future__ import annotations

from html import escape

from rushhour.rehearse.limit_words import pace, per_second
from rushhour.rehearse.results import Rehearsal


def ceiling(rehearsal: Rehearsal) -> str:
    """Say what the provider's ceiling is."""
    if rehearsal.floor.slots is not None:
        return f"{escape(pace(rehearsal))} are {per_second(rehearsal)} a second"
    return f"it admits {per_second(rehearsal)}{'' if rehearsal.limit_per_s is None else ' chat calls a second'}"


def dashed(rehearsal: Rehearsal) -> str:
    """Explain the line over the calls that a provider saw."""
    if rehearsal.limit_per_s is None:
        return ""
    if rehearsal.floor.slots is not None:
        return (
            f" The dashed line is how many its slots serve, {per_second(rehearsal)} a second: calls above it wait in "
            "the server’s own queue."
        )
    return (
        f" The dashed line is the limit, {per_second(rehearsal)} a second: what is left unused below it is answers "
        "that nobody got."
    )


def floor(rehearsal: Rehearsal) -> str:
    """Derive the floor."""
    note = rehearsal.floor
    told = f"<p>A generated answer needs one chat call, and {_drain(rehearsal)}</p>"
    if note.closed_s:
        told += f"<p>For {note.closed_s:g} s no chat call could succeed, which is added where users were waiting.</p>"
    told += f"<p>{_saved(rehearsal)} The floor stated everywhere here is <b>{round(rehearsal.floor_s, 1):g} s</b>.</p>"
    if any(run.degraded for run in rehearsal.runs):
        told += (
            "<p>An answer that is quoted instead of generated needs no chat call: whoever gives such answers while the "
            "provider is down can be faster than this floor.</p>"
        )
    return told


def _drain(rehearsal: Rehearsal) -> str:
    """Say how long the tightest limit takes to let all users pass."""
    note, users, limit_per_s = rehearsal.floor, f"{rehearsal.users:,}", rehearsal.limit_per_s
    if limit_per_s is None:
        return "nothing limits how many are made: nobody waits but for the others’ load."
    drain = f"<b>{rehearsal.users / limit_per_s:.4g} s</b>, however good the software: what is paid under load is"
    if note.slots is not None and note.work_s is not None:
        return (
            f"the server works on {note.slots:,} at a time, each for {note.work_s:.3g} s "
            f"while all slots are taken, at about {note.tokens_per_answer:,.0f} tokens an answer. {users} of them "
            f"therefore take {users} × {note.work_s:.3g} s ÷ {note.slots} = {drain} waiting."
        )
    told = f"the provider admits {per_second(rehearsal)} a second"
    if note.bound == "tokens":
        told += f": its tokens a minute are the scarcer limit, at about {note.tokens_per_call:,.0f} a prompt"
    return f"{told}. {users} of them therefore take {users} ÷ {per_second(rehearsal)} = {drain} waiting, not errors."


def _saved(rehearsal: Rehearsal) -> str:
    """Say what shortens the floor."""
    if rehearsal.limit_per_s is None:
        return "The users’ own coming is all there is to wait for."
    saved = f"{rehearsal.burst_credit_s:.4g} s"
    if rehearsal.floor.slots is None:
        told = f"The provider lets a client save up at most {saved} of its limit."
    else:
        told = f"All slots are free at the start, which is worth {saved}."
    return (
        f"{told} One second of that stands against the time of the last answer itself, the rest shortens the floor; "
        "users who come late lengthen it."
    )
