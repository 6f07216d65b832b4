"""The provider's tightest limit in words: calls a second, the slots of a server of one's own, or none."""

from __future__ import annotations

from rushhour.rehearse.results import FloorNote, Rehearsal
from rushhour.rehearse.slots import slots_told
from rushhour.rehearse.words import NO_LIMIT, count


def allowed(rehearsal: Rehearsal) -> str:
    """Say what the provider allows."""
    floor = rehearsal.floor
    if floor.slots is not None and floor.work_s is not None:
        return slots_told(floor.slots, floor.work_s)
    return NO_LIMIT if rehearsal.limit_per_s is None else f"{per_second(rehearsal)} calls a second allowed"


def pace(rehearsal: Rehearsal) -> str:
    """Say how fast the provider lets chat calls pass, within a sentence."""
    floor = rehearsal.floor
    if floor.slots is not None and floor.work_s is not None:
        return f"{count(floor.slots, 'call')} at a time of {floor.work_s:.3g} s each"
    return NO_LIMIT if rehearsal.limit_per_s is None else f"{per_second(rehearsal)} chat calls a second"


def per_second(rehearsal: Rehearsal) -> str:
    """Write how many calls pass in a second; `any number` where nothing limits them."""
    return "any number" if rehearsal.limit_per_s is None else f"{rehearsal.limit_per_s:.4g}"


def holder(floor: FloorNote) -> str:
    """Name what holds calls up."""
    return "the provider’s limit" if floor.slots is None else f"the server’s {count(floor.slots, 'slot')}"


def no_obstacle(rehearsal: Rehearsal) -> str:
    """Say that nobody waits for the limit, for the beginning of a sentence."""
    if rehearsal.limit_per_s is None:
        return "No limit is an obstacle"
    slots = rehearsal.floor.slots
    told = holder(rehearsal.floor)
    return f"{told[0].upper()}{told[1:]} {'is' if slots in (None, 1) else 'are'} no obstacle"
