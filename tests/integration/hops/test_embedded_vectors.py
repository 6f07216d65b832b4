"""The embedded vector store: exact, shared between processes, and one scan for all who wait."""

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import Rejected, SettingsError, Unavailable
from rushhour.flow.call import Call, Event
from rushhour.hops import embedded_rows
from rushhour.hops.contract import Delete, Match, Record, Upsert, Vector, VectorQuery
from rushhour.hops.embedded_vectors import AT_ONCE, EmbeddedVectors, Scanned

CALL = Call(hop="retrieve")
OTHER_PROCESS = """
import asyncio, pathlib, sys
import numpy as np
from rushhour.flow.call import Call
from rushhour.hops.contract import Delete, Record, Upsert
from rushhour.hops.embedded_vectors import EmbeddedVectors

async def main():
    store = await EmbeddedVectors.open(pathlib.Path(sys.argv[1]))
    await store.upsert(Upsert("docs", [Record("theirs", np.eye(8, dtype=np.float32)[1], {})]), Call())
    await store.delete(Delete("docs", ["mine"]), Call())
    await store.aclose()

asyncio.run(main())
"""


def unit(seed: int, dimensions: int = 8) -> Vector:
    """Make a unit vector from a seed."""
    row = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return row / np.linalg.norm(row)


def records(numbers: Sequence[int], **metadata: Any) -> list[Record]:
    """Make records with the vectors of these seeds."""
    return [Record(f"id{number}", unit(number), metadata) for number in numbers]


def ids(matches: Sequence[Match]) -> list[str]:
    """Return the ids of hits."""
    return [match.id for match in matches]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedVectors]:
    """Give an empty store."""
    opened = await EmbeddedVectors.open(tmp_path / "vectors.sqlite3")
    yield opened
    await opened.aclose()


async def test_the_nearest_come_first(store: EmbeddedVectors) -> None:
    """Scores are cosines; a vector is nearest to itself."""
    assert await store.upsert(Upsert("docs", records(range(100))), CALL) == 100

    matches = await store.query(VectorQuery("docs", unit(42), 5), CALL)

    assert matches[0].id == "id42"
    assert matches[0].score == pytest.approx(1.0, abs=1e-6)
    assert len(matches) == 5
    assert [match.score for match in matches] == sorted((match.score for match in matches), reverse=True)


async def test_vectors_need_not_be_of_unit_length(store: EmbeddedVectors) -> None:
    """What counts is the direction, of records and of queries."""
    await store.upsert(Upsert("docs", [Record("long", unit(1) * 50, {}), Record("short", unit(2) * 0.1, {})]), CALL)

    (match,) = await store.query(VectorQuery("docs", unit(1) * 7, 1), CALL)

    assert match.id == "long"
    assert match.score == pytest.approx(1.0, abs=1e-6)


async def test_the_same_id_overwrites(store: EmbeddedVectors) -> None:
    """Its old vector is found no more."""
    await store.upsert(Upsert("docs", records([1, 2])), CALL)
    await store.query(VectorQuery("docs", unit(1), 1), CALL)
    await store.upsert(Upsert("docs", [Record("id1", unit(9), {})]), CALL)

    assert ids(await store.query(VectorQuery("docs", unit(9), 1), CALL)) == ["id1"]
    assert (await store.query(VectorQuery("docs", unit(1), 2), CALL))[0].score < 0.99
    assert (await store.stats("docs", CALL)).records == 2


async def test_namespaces_are_apart(store: EmbeddedVectors) -> None:
    """The same id in two namespaces is two records, of dimensions of their own."""
    await store.upsert(Upsert("a", records([1])), CALL)
    await store.upsert(Upsert("b", [Record("id1", unit(1, 16), {})]), CALL)
    await store.delete(Delete("a", ["id1"]), CALL)

    assert await store.query(VectorQuery("a", unit(1), 5), CALL) == []
    assert ids(await store.query(VectorQuery("b", unit(1, 16), 5), CALL)) == ["id1"]


async def test_an_unknown_namespace_is_empty(store: EmbeddedVectors) -> None:
    """Asking, counting and deleting there is no error."""
    assert await store.query(VectorQuery("nope", unit(1), 5), CALL) == []
    assert (await store.stats("nope", CALL)).records == 0
    await store.delete(Delete("nope", ["x"]), CALL)
    await store.delete(Delete("nope", None), CALL)
    assert await store.upsert(Upsert("nope", []), CALL) == 0


async def test_deleting_ids_and_all(store: EmbeddedVectors) -> None:
    """Unknown ids are no error; an emptied namespace takes other dimensions."""
    await store.upsert(Upsert("docs", records(range(10))), CALL)
    await store.query(VectorQuery("docs", unit(3), 1), CALL)
    await store.delete(Delete("docs", ["id3", "nope"]), CALL)

    assert "id3" not in ids(await store.query(VectorQuery("docs", unit(3), 10), CALL))
    assert (await store.stats("docs", CALL)).records == 9

    await store.delete(Delete("docs", None), CALL)

    assert await store.query(VectorQuery("docs", unit(3), 10), CALL) == []
    await store.upsert(Upsert("docs", [Record("wide", unit(1, 16), {})]), CALL)
    assert ids(await store.query(VectorQuery("docs", unit(1, 16), 10), CALL)) == ["wide"]


async def test_filters_choose_by_metadata(store: EmbeddedVectors) -> None:
    """The best of those that pass, however far; and a filter sees what was written since."""
    await store.upsert(Upsert("docs", [*records(range(50), file="a"), *records(range(50, 60), file="b")]), CALL)
    query = VectorQuery("docs", unit(3), 5, {"file": "b"})

    first = await store.query(query, CALL)
    await store.upsert(Upsert("docs", [Record("new", unit(3), {"file": "b"})]), CALL)

    assert len(first) == 5
    assert set(ids(first)) <= {f"id{number}" for number in range(50, 60)}
    assert ids(await store.query(query, CALL))[0] == "new"


async def test_other_dimensions_are_rejected(store: EmbeddedVectors) -> None:
    """The message names the namespace and both sizes; nothing is written."""
    await store.upsert(Upsert("docs", records([1])), CALL)

    with pytest.raises(Rejected, match=r"16 dimensions.*'docs'.*have 8"):
        await store.upsert(Upsert("docs", [Record("x", unit(1, 16), {})]), CALL)
    with pytest.raises(Rejected, match=r"16 dimensions.*'docs'.*have 8"):
        await store.query(VectorQuery("docs", unit(1, 16), 5), CALL)
    with pytest.raises(Rejected, match=r"\[8, 16\] dimensions"):
        await store.upsert(Upsert("new", [Record("x", unit(1, 16), {}), Record("y", unit(1), {})]), CALL)
    assert (await store.stats("docs", CALL)).records == 1
    assert (await store.stats("new", CALL)).records == 0


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
async def test_vectors_without_direction_are_rejected(store: EmbeddedVectors, bad: float) -> None:
    """They would compare with everything or nothing."""
    await store.upsert(Upsert("docs", records([1])), CALL)
    vector = np.full(8, bad, np.float32)

    with pytest.raises(Rejected, match="no direction"):
        await store.upsert(Upsert("docs", [Record("x", vector, {})]), CALL)
    with pytest.raises(Rejected, match="no direction"):
        await store.query(VectorQuery("docs", vector, 5), CALL)


async def test_top_k_must_be_positive(store: EmbeddedVectors) -> None:
    """Asking for nothing is a mistake."""
    with pytest.raises(Rejected, match="top_k is 0"):
        await store.query(VectorQuery("docs", unit(1), 0), CALL)


async def test_queries_that_wait_share_one_scan(store: EmbeddedVectors) -> None:
    """A crowd is answered by as few products as their size allows, each query rightly."""
    await store.upsert(Upsert("docs", records(range(300))), CALL)
    seen: list[Event] = []
    call = Call(hop="retrieve", emit=seen.append)

    found = await asyncio.gather(*(store.query(VectorQuery("docs", unit(n), 1), call) for n in range(AT_ONCE + 6)))

    assert [ids(matches) for matches in found] == [[f"id{n}"] for n in range(AT_ONCE + 6)]
    assert seen == [Scanned("retrieve", AT_ONCE, 300)] * AT_ONCE + [Scanned("retrieve", 6, 300)] * 6


async def test_a_query_that_does_not_fit_fails_alone(store: EmbeddedVectors) -> None:
    """Those who share its scan get their answers."""
    await store.upsert(Upsert("docs", records(range(20))), CALL)
    queries = [
        VectorQuery("docs", unit(5), 1),
        VectorQuery("docs", unit(5, 16), 1),
        VectorQuery("docs", unit(5), 1, {"page": {"$near": 3}}),
        VectorQuery("docs", np.zeros(8, np.float32), 1),
        VectorQuery("other", unit(5), 1),
        VectorQuery("docs", unit(6), 1),
    ]

    first, *rejected, elsewhere, last = await asyncio.gather(
        *(store.query(query, CALL) for query in queries), return_exceptions=True
    )

    assert isinstance(first, list)
    assert isinstance(last, list)
    assert (ids(first), elsewhere, ids(last)) == (["id5"], [], ["id6"])
    assert [type(error) for error in rejected] == [Rejected] * 3


async def test_a_cancelled_query_disturbs_nobody(store: EmbeddedVectors) -> None:
    """Neither one that waits nor one that is being answered, nor the first, which began the scan."""
    await store.upsert(Upsert("docs", records(range(20))), CALL)
    tasks = [asyncio.create_task(store.query(VectorQuery("docs", unit(n), 1), CALL)) for n in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[4].cancel()
    late = asyncio.create_task(store.query(VectorQuery("docs", unit(15), 1), CALL))
    await asyncio.sleep(0)
    tasks[7].cancel()

    results = await asyncio.gather(*tasks, late, return_exceptions=True)

    for n, result in zip([*range(10), 15], results, strict=True):
        if n in (0, 4, 7):
            assert isinstance(result, asyncio.CancelledError)
        else:
            assert isinstance(result, list)
            assert ids(result) == [f"id{n}"]


async def test_what_was_written_outlives_the_process(tmp_path: Path) -> None:
    """Opened again, everything is there, bit by bit."""
    path = tmp_path / "deep" / "vectors.sqlite3"
    first = await EmbeddedVectors.open(path)
    await first.upsert(Upsert("docs", records(range(5000), file="a")), CALL)
    before = await first.query(VectorQuery("docs", unit(77), 20), CALL)
    await first.aclose()

    second = await EmbeddedVectors.open(path)
    try:
        assert await second.query(VectorQuery("docs", unit(77), 20), CALL) == before
        assert len(await second.query(VectorQuery("docs", unit(77), 9, {"file": "a"}), CALL)) == 9
    finally:
        await second.aclose()


async def test_another_processs_changes_are_seen(tmp_path: Path) -> None:
    """With the next query: what it wrote is found, what it deleted is not."""
    path = tmp_path / "vectors.sqlite3"
    store = await EmbeddedVectors.open(path)
    try:
        await store.upsert(Upsert("docs", [Record("mine", np.eye(8, dtype=np.float32)[0], {})]), CALL)
        query = VectorQuery("docs", np.eye(8, dtype=np.float32)[1], 5)
        assert ids(await store.query(query, CALL)) == ["mine"]

        other = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROCESS, str(path))
        assert await other.wait() == 0

        assert ids(await store.query(query, CALL)) == ["theirs"]
    finally:
        await store.aclose()


async def test_a_namespace_made_anew_elsewhere_is_read_anew(tmp_path: Path) -> None:
    """Even if it has as many generations as the one before."""
    path = tmp_path / "vectors.sqlite3"
    store, other = await EmbeddedVectors.open(path), await EmbeddedVectors.open(path)
    try:
        await store.upsert(Upsert("docs", records([1, 2])), CALL)
        await store.query(VectorQuery("docs", unit(1), 5), CALL)
        await other.delete(Delete("docs", None), CALL)
        await other.upsert(Upsert("docs", [Record("wide", unit(3, 16), {})]), CALL)

        assert ids(await store.query(VectorQuery("docs", unit(3, 16), 5), CALL)) == ["wide"]
    finally:
        await store.aclose()
        await other.aclose()


async def test_pruned_tombstones_force_a_full_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever missed deletions that are no longer listed does not show what is gone."""
    monkeypatch.setattr(embedded_rows, "TOMBSTONES_KEPT", 3)
    path = tmp_path / "vectors.sqlite3"
    store, other = await EmbeddedVectors.open(path), await EmbeddedVectors.open(path)
    try:
        await store.upsert(Upsert("docs", records(range(20))), CALL)
        await other.query(VectorQuery("docs", unit(1), 50), CALL)
        for number in range(12):
            await store.delete(Delete("docs", [f"id{number}"]), CALL)

        found = ids(await other.query(VectorQuery("docs", unit(1), 50), CALL))

        assert sorted(found) == sorted(f"id{number}" for number in range(12, 20))
    finally:
        await store.aclose()
        await other.aclose()


async def test_a_damaged_file_fails_the_query_not_the_store(tmp_path: Path) -> None:
    """The error names the file, and the next query is answered again."""
    path = tmp_path / "vectors.sqlite3"
    store = await EmbeddedVectors.open(path)
    connection = sqlite3.connect(path)
    try:
        await store.upsert(Upsert("docs", records([1])), CALL)
        connection.execute("ALTER TABLE namespaces RENAME TO elsewhere")
        with pytest.raises(Unavailable, match=r"vectors\.sqlite3: no such table"):
            await store.query(VectorQuery("docs", unit(1), 5), CALL)
        connection.execute("ALTER TABLE elsewhere RENAME TO namespaces")
        assert ids(await store.query(VectorQuery("docs", unit(1), 5), CALL)) == ["id1"]
    finally:
        connection.close()
        await store.aclose()


async def test_a_catalog_is_no_vector_store(tmp_path: Path) -> None:
    """The two files cannot be taken for one another."""
    connection = sqlite3.connect(tmp_path / "x.sqlite3")
    connection.execute("PRAGMA application_id = 7")
    connection.close()

    with pytest.raises(SettingsError, match="another program, not rushhour's vector store"):
        await EmbeddedVectors.open(tmp_path / "x.sqlite3")


def test_closing_answers_who_waits_and_leaves_nothing_running(tmp_path: Path) -> None:
    """A process that ends in the middle of queries ends."""
    script = """
import asyncio, pathlib, sys
import numpy as np
from rushhour.flow.call import Call
from rushhour.hops.contract import Record, Upsert, VectorQuery
from rushhour.hops.embedded_vectors import EmbeddedVectors

async def main():
    store = await EmbeddedVectors.open(pathlib.Path(sys.argv[1]))
    vector = np.eye(8, dtype=np.float32)[0]
    await store.upsert(Upsert("docs", [Record("a", vector, {})]), Call())
    asking = [asyncio.create_task(store.query(VectorQuery("docs", vector, 1), Call())) for _ in range(200)]
    await asyncio.sleep(0)
    await store.aclose()
    print(sum([len(await task) for task in asking]))

asyncio.run(main())
"""
    done = subprocess.run(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", script, str(tmp_path / "v.sqlite3")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr, done.returncode) == ("200\n", "", 0)


steps = st.lists(
    st.tuples(st.sampled_from(("upsert", "delete", "clear")), st.lists(st.integers(0, 12), max_size=6)), max_size=10
)


@settings(max_examples=30, deadline=None)
@given(steps)
def test_two_stores_on_one_file_agree_with_brute_force(steps: list[tuple[str, list[int]]]) -> None:
    """One writes, both answer as a plain sort over a dictionary would, after every step."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder) / "vectors.sqlite3", steps))


async def _play(path: Path, steps: list[tuple[str, list[int]]]) -> None:
    writer, reader = await EmbeddedVectors.open(path), await EmbeddedVectors.open(path)
    try:
        model: dict[str, Vector] = {}
        for turn, (step, numbers) in enumerate(steps):
            wanted = {f"id{number}": unit(number * 100 + turn) for number in numbers}
            if step == "upsert":
                await writer.upsert(Upsert("docs", [Record(one, row, {}) for one, row in wanted.items()]), CALL)
                model.update(wanted)
            elif step == "delete":
                await writer.delete(Delete("docs", list(wanted)), CALL)
                model = {one: row for one, row in model.items() if one not in wanted}
            else:
                await writer.delete(Delete("docs", None), CALL)
                model = {}
            expected = {one: pytest.approx(float(row @ unit(5)), abs=1e-5) for one, row in model.items()}
            for store in (writer, reader):
                found = await store.query(VectorQuery("docs", unit(5), 100), CALL)
                assert {match.id: match.score for match in found} == expected
    finally:
        await writer.aclose()
        await reader.aclose()
