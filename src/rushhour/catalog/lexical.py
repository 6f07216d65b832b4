"""BM25 over a collection's full-text table: any text a person types is a valid query."""

from __future__ import annotations

import re
import sqlite3
from typing import Final

from rushhour.catalog.contract import LexicalMatch
from rushhour.catalog.schema import words_table

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


def search(connection: sqlite3.Connection, collection: int, chunks: int, query: str, top_k: int) -> list[LexicalMatch]:
    """Return the best of a collection's chunks by BM25 (Robertson's, as FTS5 computes it), best first.

    `chunks` is how many the collection has: a word that more than half of them hold gets no weight in BM25, but
    would have all of them scored, so it is left out unless there is no other.
    """
    table = words_table(collection)
    telling, common = terms(query)
    found = {word: _chunks_with(connection, table, word) for word in telling}
    rare = [word for word, count in found.items() if 0 < 2 * count <= chunks]
    expression = " OR ".join(
        [
            *(f'"{word}"' for word in rare or telling),
            *(f'{{title heading}} : "{word}"' for word in common),
        ]
    )
    if not expression:
        return []
    rows = connection.execute(
        f"SELECT chunks.id, -best.score FROM "  # noqa: S608  # the table's name is a number
        f"(SELECT rowid, bm25({table}) AS score FROM {table} WHERE {table} MATCH ? ORDER BY score, rowid LIMIT ?) "
        "AS best JOIN chunks ON chunks.key = best.rowid ORDER BY best.score, best.rowid",
        (expression, top_k),
    )
    return [LexicalMatch(name, score) for name, score in rows]


def _chunks_with(connection: sqlite3.Connection, table: str, word: str) -> int:
    counted = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {table} MATCH ?",  # noqa: S608  # the table's name is a number
        (f'"{word}"',),
    )
    return int(counted.fetchone()[0])
