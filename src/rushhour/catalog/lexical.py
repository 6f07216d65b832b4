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
_STOP_WORDS: Final = frozenset(
    """
    a about after again all also am an and any are as at be because been before being both but by can cannot could
    did do does doing don down during each few for from further had has have having he her here hers him his how i
    if in into is it its itself just ll me more most my no nor not now of off on once only or other our out over own
    re s same she should so some such t than that the their them then there these they this those through to too
    under until up ve very was we were what when where which while who whom why will with would you your
    """.split()  # noqa: SIM905  # as a list it would be 130 lines
)


def terms(query: str) -> list[str]:
    """Return the distinct words of any text, in order, without those too common to tell passages apart.

    If nothing else is left ("what is this?"), those stay.
    """
    words = dict.fromkeys(word.lower() for word in _WORD.findall(query))
    telling = [word for word in words if word not in _STOP_WORDS] or list(words)
    return telling[:MAX_TERMS]


def search(connection: sqlite3.Connection, collection: int, chunks: int, query: str, top_k: int) -> list[LexicalMatch]:
    """Return the best of a collection's chunks by BM25 (Robertson's, as FTS5 computes it), best first.

    `chunks` is how many the collection has: a word that more than half of them hold gets no weight in BM25, but
    would have all of them scored, so it is left out unless there is no other.
    """
    table = words_table(collection)
    found = {word: _chunks_with(connection, table, word) for word in terms(query)}
    rare = [word for word, count in found.items() if 0 < 2 * count <= chunks]
    wanted = rare or [word for word, count in found.items() if count]
    if not wanted:
        return []
    rows = connection.execute(
        f"SELECT chunks.id, -best.score FROM "  # noqa: S608  # the table's name is a number
        f"(SELECT rowid, bm25({table}) AS score FROM {table} WHERE {table} MATCH ? ORDER BY score, rowid LIMIT ?) "
        "AS best JOIN chunks ON chunks.key = best.rowid ORDER BY best.score, best.rowid",
        (" OR ".join(map(_quoted, wanted)), top_k),
    )
    return [LexicalMatch(name, score) for name, score in rows]


def _chunks_with(connection: sqlite3.Connection, table: str, word: str) -> int:
    counted = connection.execute(
        f"SELECT count(*) FROM {table} WHERE {table} MATCH ?",  # noqa: S608  # the table's name is a number
        (_quoted(word),),
    )
    return int(counted.fetchone()[0])


def _quoted(word: str) -> str:
    return f'"{word}"'
