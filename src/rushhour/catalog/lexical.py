"""BM25 over a collection's full-text table: any text a person types is a valid query."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from rushhour.catalog.contract import LexicalMatch
from rushhour.catalog.restriction import condition
from rushhour.catalog.schema import words_table

_HITS: Final = msgspec.json.Decoder(list[tuple[str, float]])
"""All rows come as one JSON text: the driver takes and leaves the interpreter's lock for every row it steps to, and a
busy event loop makes each of these a wait."""
TOO_COMMON: Final = 0.3
FEW: Final = 3
"""With so many telling words the common ones add nothing but time: twice as much, since every chunk holds them."""
MAX_FREQUENCIES: Final = 50_000
MAX_TERMS: Final = 64
"""Terms of one query: what a pasted page adds beyond them is time, not precision."""

_WORD: Final = re.compile(r"[^\W_]+")
# As lists they would be 130 lines, hence the noqa.
_COMMON: Final = frozenset(
    """
    about after again all also and any as at because before below between both but by down during each either else
    few for from further here if in into just more most neither no nor not now off on once only or other out over own
    same so some such than then there through too under until up when where while why with without
    """.split()  # noqa: SIM905
)
_EMPTY: Final = frozenset(
    """
    a am an are be been being can cannot could d did do does doing don had has have having he her hers him his how i is
    it its itself ll me my of our ours re s she should t that the their theirs them these they this those to us ve very
    was we were what which who whom whose will would you your yours
    """.split()  # noqa: SIM905
)


def terms(query: str) -> tuple[list[str], list[str]]:
    """Return the words of any text: those that tell passages apart, and common ones that do so in a heading only.

    "What does the with statement do?" asks for statement, and for a heading with "with". If all of the words are
    common ("what is this?"), they all count.
    """
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(query)))[:MAX_TERMS]
    telling = [word for word in words if word not in _COMMON and word not in _EMPTY]
    common = [word for word in words if word in _COMMON]
    return (telling, common) if telling else (words, [])


class Frequencies:
    """In how many chunks the words that were asked for lately occur, for one version of each collection.

    Safe for several threads: whoever comes late only counts again.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, dict[str, int]]] = {}

    def at(self, collection: int, version: int) -> dict[str, int]:
        """Return the counts that hold for this version; those of another are forgotten."""
        known = self._known.get(collection)
        if known is None or known[0] != version or len(known[1]) > MAX_FREQUENCIES:
            known = self._known[collection] = (version, {})
        return known[1]


def search(
    connection: sqlite3.Connection,
    collection: int,
    chunks: int,
    query: str,
    top_k: int,
    counts: dict[str, int],
    where: Mapping[str, Any] | None = None,
) -> list[LexicalMatch]:
    """Return the best of a collection's chunks by BM25 (Robertson's, as FTS5 computes it), best first.

    `chunks` is how many the collection has: a word that 30 % of them hold weighs next to nothing in BM25, but would
    have all of them scored, so it is left out unless there is no other (on labelled data that changed no ranking and
    took a quarter of the time). `counts` are the frequencies that are known by now. `where` is a filter on metadata; it
    does not change what a word weighs, but a word that many chunks hold may be the only one in those that pass.
    """
    table = words_table(collection)
    telling, common = terms(query)
    for word in telling:
        if word not in counts:
            counts[word] = _chunks_with(connection, table, word)
    rare = [word for word in telling if 0 < counts[word] <= TOO_COMMON * chunks]
    expression = " OR ".join(
        [
            *(f'"{word}"' for word in (telling if where else rare or telling)),
            *(f'{{title heading}} : "{word}"' for word in common if len(rare) < FEW),
        ]
    )
    if not expression:
        return []
    found = connection.execute(
        "SELECT json_group_array(json_array(chunks.id, -best.score)) FROM "  # noqa: S608  # the table's name is a number
        f"({_best(table, where)} ORDER BY score, rowid LIMIT ?) AS best JOIN chunks ON chunks.key = best.rowid",
        (expression, *(condition(where)[1] if where else ()), top_k),
    ).fetchone()[0]
    hits = [LexicalMatch(name, score) for name, score in _HITS.decode(found)]
    return sorted(hits, key=lambda hit: -hit.score)


def _best(table: str, where: Mapping[str, Any] | None) -> str:
    scored = f"SELECT {table}.rowid AS rowid, bm25({table}) AS score FROM {table}"  # noqa: S608  # the table's name is a number
    if not where:
        return f"{scored} WHERE {table} MATCH ?"
    joined = f"JOIN chunks ON chunks.key = {table}.rowid JOIN files ON files.key = chunks.file"
    return f"{scored} {joined} WHERE {table} MATCH ? AND {condition(where)[0]}"


def _chunks_with(connection: sqlite3.Connection, table: str, word: str) -> int:
    counted = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {table} MATCH ?",  # noqa: S608  # the table's name is a number
        (f'"{word}"',),
    )
    return int(counted.fetchone()[0])
