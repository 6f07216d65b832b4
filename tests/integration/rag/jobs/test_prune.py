"""Kept vectors: none is forgotten within a month of its last use, none is kept much longer than two."""

from __future__ import annotations

from typing import Any

import pytest

from rushhour.clock import unix_now
from rushhour.flow.call import Call
from rushhour.rag.documents.sources import Source
from rushhour.rag.jobs.prune import prune

DAY_S = 86_400


async def ingest(house: Any, *subjects: str, collection: str = "docs") -> int:
    """Ingest a page about each; return how many passages were bought."""
    sources = [
        Source(f"{one}.txt", f"The {one} does what it does best.\n".encode, one, root="folder:x") for one in subjects
    ]
    summary = await house.ingester().ingest(collection, sources, Call(), roots=["folder:x"])
    return int(summary.embedded)


@pytest.fixture
def today() -> int:
    """Give the present moment, in Unix seconds."""
    return unix_now()


async def test_a_month_begins_when_a_vector_is_found_idle(house: Any, today: int) -> None:
    """It may have been in use until the moment before: then a collection that was dropped can be had again."""
    bought = await ingest(house, "walrus", "otter")
    assert await prune(house.catalog, house.kept, today + 90 * DAY_S) == 0
    await house.jobs().drop("docs", Call())

    for day in (90, 119, 121, 150):
        assert await prune(house.catalog, house.kept, today + day * DAY_S) == 0
    assert await prune(house.catalog, house.kept, today + 152 * DAY_S) == bought
    assert await house.kept.count() == 0


async def test_what_is_visible_stays_however_old_it_is(house: Any, today: int) -> None:
    """In any collection of its embedder; what left goes."""
    bought = await ingest(house, "walrus", "otter")
    await ingest(house, "walrus", collection="other")
    await ingest(house, "otter")

    await house.jobs().drop("other", Call())
    for month in range(1, 5):
        await prune(house.catalog, house.kept, today + month * 31 * DAY_S)

    assert await house.kept.count() == bought // 2
    assert await ingest(house, "otter", collection="again") == 0
    assert await ingest(house, "walrus", collection="again") == bought // 2


async def test_what_is_taken_up_again_is_not_idle(house: Any, today: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its month begins anew, even if nobody looked while it was in use."""
    await ingest(house, "walrus")
    await house.jobs().drop("docs", Call())
    await prune(house.catalog, house.kept, today + 31 * DAY_S)
    monkeypatch.setattr("rushhour.catalog.kept_vectors.unix_now", lambda: today + 60 * DAY_S)
    assert await ingest(house, "walrus") == 0
    await house.jobs().drop("docs", Call())

    for day in (62, 91, 120):
        assert await prune(house.catalog, house.kept, today + day * DAY_S) == 0
    assert await prune(house.catalog, house.kept, today + 122 * DAY_S) > 0


async def test_two_who_prune_at_once_are_as_good_as_one(house: Any, today: int) -> None:
    """What one of them has just found idle is not what the other had found idle a month ago."""
    await ingest(house, "walrus")
    await house.jobs().drop("docs", Call())
    later = today + 31 * DAY_S
    due = await house.kept.due("model", later)

    assert await house.kept.settle("model", (), due, later) == 0
    assert await house.kept.settle("model", (), due, later) == 0
    assert await house.kept.count() == len(due) > 0
