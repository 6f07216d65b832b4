"""What a filter costs a reader of the catalog."""

import json
import sqlite3
from typing import Any

import pytest

from rushhour.catalog.restriction import condition
from rushhour.rag.retrieval.filters import MOST, read_filter, spelled

CHUNKS = 200


def instructions(where: dict[str, Any]) -> int:
    """Count the hundreds of instructions of SQLite's machine that a look at all chunks takes."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE files (key INTEGER PRIMARY KEY, name TEXT)")
    connection.execute("CREATE TABLE chunks (file, page INTEGER, title TEXT, heading TEXT, source TEXT, metadata TEXT)")
    connection.execute("INSERT INTO files VALUES (1, 'a.md')")
    metadata = json.dumps({f"key {n}": n for n in range(6)})
    connection.executemany("INSERT INTO chunks VALUES (1, 1, '', '', '', ?)", CHUNKS * [(metadata,)])
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(tick, 100)
    test, values = condition(where)
    connection.execute(f"SELECT 1 FROM chunks JOIN files ON files.key = chunks.file WHERE {test}", values).fetchall()  # noqa: S608  # ours
    connection.close()
    return count


@pytest.mark.parametrize("key", ["file", "page", "key 3"])
def test_a_list_costs_little_more_than_two_values(key: str) -> None:
    """It is looked through once a chunk, not once a value."""
    values = [f"{n}.md" for n in range(MOST // 2)] + list(range(100, 100 + MOST // 2))

    assert instructions({key: {"$in": values}}) <= 3 * instructions({key: {"$in": [values[0], values[-1]]}})
    assert condition({key: {"$in": [*values, True, False]}})[0].count("json_each") <= 1


def test_the_costliest_filter_that_is_accepted_is_bounded() -> None:
    """As many comparisons as there may be, of keys that no chunk has, so that all of them are tried on each chunk."""
    worst = {"type": "or", "filters": [{"type": "eq", "key": f"none {n}", "value": n} for n in range(MOST)]}

    each = instructions(spelled(read_filter(worst))) * 100 / CHUNKS
    assert each < 60 * MOST
