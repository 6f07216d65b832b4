"""Paid embeddings: bit for bit, by what was embedded and by whom, whatever becomes of who bought them."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.catalog.kept_vectors import KEPT_S, SCHEMA, KeptVectors, digest_of
from rushhour.clock import unix_now
from rushhour.sqlite import SqliteFile

FLOATS = st.lists(st.floats(width=32), min_size=1, max_size=40)


def vector(*numbers: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Make a vector."""
    return np.array(numbers, np.float32)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[KeptVectors]:
    """Give an empty store."""
    opened = await KeptVectors.open(tmp_path / "embeddings.sqlite3")
    yield opened
    await opened.aclose()


@settings(max_examples=25, deadline=None)
@given(st.lists(FLOATS, max_size=5))
def test_vectors_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]) -> None:
    """Infinities, NaN and negative zeros included, and after the process that wrote them is gone."""
    path = tmp_path_factory.mktemp("kept") / "embeddings.sqlite3"
    vectors = {digest_of(str(n)): vector(*row) for n, row in enumerate(rows)}

    async def write() -> None:
        kept = await KeptVectors.open(path)
        await asyncio.gather(*(kept.put("model", digest, one) for digest, one in vectors.items()))
        await kept.aclose()

    async def read() -> dict[bytes, bytes]:
        kept = await KeptVectors.open(path)
        found = await kept.get("model", list(vectors))
        await kept.aclose()
        return {digest: one.tobytes() for digest, one in found.items()}

    asyncio.run(write())
    assert asyncio.run(read()) == {digest: one.tobytes() for digest, one in vectors.items()}


async def test_embedders_do_not_share(kept: KeptVectors) -> None:
    """Vectors of two models have nothing to do with each other; what is unknown is absent."""
    await kept.put("small", digest_of("walrus"), vector(1, 0))
    await kept.put("large", digest_of("walrus"), vector(0, 1, 0))

    assert (await kept.get("small", [digest_of("walrus"), digest_of("otter")])).keys() == {digest_of("walrus")}
    assert (await kept.get("large", [digest_of("walrus")]))[digest_of("walrus")].tolist() == [0, 1, 0]
    assert await kept.get("unknown", [digest_of("walrus")]) == {}
    assert await kept.embedders() == ["large", "small"]


async def test_the_first_one_stays(kept: KeptVectors) -> None:
    """Two processes may have bought the same; providers are not exact, and the store has one of them already."""
    await kept.put("model", digest_of("walrus"), vector(1))
    await kept.put("model", digest_of("walrus"), vector(2))

    assert (await kept.get("model", [digest_of("walrus")]))[digest_of("walrus")].tolist() == [1]


async def test_what_comes_while_the_disk_is_busy_is_written_together(
    kept: KeptVectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand vectors at once are a few transactions, not a thousand."""
    transactions = 0
    write = SqliteFile.write

    def counting(self: SqliteFile, *arguments: object) -> object:
        nonlocal transactions
        transactions += 1
        return write(self, *arguments)  # type: ignore[arg-type]  # passed on as they are

    monkeypatch.setattr(SqliteFile, "write", counting)
    await asyncio.gather(*(kept.put("model", digest_of(str(n)), vector(n)) for n in range(1000)))

    assert await kept.count() == 1000
    assert transactions <= 3
    found = await kept.get("model", [digest_of(str(n)) for n in range(1000)])
    assert {one.item() for one in found.values()} == set(range(1000))


async def test_a_cancelled_buyer_does_not_lose_what_he_paid_for(kept: KeptVectors) -> None:
    """Nor do those who wait for the same write."""
    putting = [asyncio.create_task(kept.put("model", digest_of(str(n)), vector(n))) for n in range(3)]
    await asyncio.sleep(0)
    putting[0].cancel()
    await asyncio.gather(*putting[1:])

    assert putting[0].cancelled()
    assert await kept.count() == 3


async def test_closing_writes_what_was_put(tmp_path: Path) -> None:
    """Though nobody waits for it any more."""
    kept = await KeptVectors.open(tmp_path / "embeddings.sqlite3")
    putting = asyncio.create_task(kept.put("model", digest_of("walrus"), vector(1)))
    await asyncio.sleep(0)
    putting.cancel()
    await kept.aclose()

    again = await KeptVectors.open(tmp_path / "embeddings.sqlite3")
    assert await again.count() == 1
    await again.aclose()


async def test_only_what_was_not_seen_in_use_for_long_is_due(kept: KeptVectors) -> None:
    """What is found in use is not due for another month; what is found idle twice is gone."""
    digests = [digest_of(str(n)) for n in range(3)]
    for n, digest in enumerate(digests):
        await kept.put("model", digest, vector(n))
    later = unix_now() + KEPT_S + 10
    latest = later + KEPT_S + 10

    assert await kept.due("model", unix_now()) == set()
    assert await kept.due("model", later) == set(digests)
    assert await kept.due("other", later) == set()
    assert await kept.settle("model", digests[1:], digests[:1], later) == 0
    assert await kept.due("model", later) == set()
    assert await kept.settle("model", digests[2:], digests[:2], latest) == 1
    assert (await kept.get("model", digests)).keys() == set(digests[1:])


async def test_a_store_of_the_first_release_opens(tmp_path: Path) -> None:
    """With all that was paid for, and nobody taken for idle."""
    path = tmp_path / "embeddings.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA.steps[0])
        connection.execute(f"PRAGMA application_id = {SCHEMA.application}")
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO embedders (name) VALUES ('model')")
        row = (digest_of("walrus"), 1_700_000_000, vector(1, 2).tobytes())
        connection.execute("INSERT INTO vectors (embedder, digest, used, vector) VALUES (1, ?, ?, ?)", row)
        connection.commit()

    kept = await KeptVectors.open(path)
    try:
        assert await kept.settle("model", (), [digest_of("walrus")], unix_now()) == 0
        assert (await kept.get("model", [digest_of("walrus")]))[digest_of("walrus")].tolist() == [1, 2]
    finally:
        await kept.aclose()
