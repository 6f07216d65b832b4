"""Retrieval: both sides, filters, reranking, and one search for all who ask the same at once."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rushhour.catalog.contract import Chunk, Collection, LexicalMatch
from rushhour.errors import DeadlineExceeded, SettingsError, Unavailable
from rushhour.flow.call import Call, Event
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.reuse import LruCache, Reused
from rushhour.hops.contract import Match, VectorQuery
from rushhour.hops.metadata_filter import metadata_test
from rushhour.rag.retrieval.filters import Comparison, fields
from rushhour.rag.retrieval.fuse import FUSIONS
from rushhour.rag.retrieval.rerank import Reranker, RerankingSettings
from rushhour.rag.retrieval.retrieve import Retriever, RetrieveSettings
from rushhour.rag.retrieval.search import Search
from rushhour.testing import Scripted

VECTOR = np.ones(4, dtype=np.float32) / 2


class Shelf:
    """A catalog of a hundred chunks in ten files, with a page each; BM25 finds what it is told to."""

    def __init__(self, *found: str) -> None:
        self.shelf = {
            f"c{n}": Chunk(f"c{n}", f"{n % 10}.md", n // 10, f"text of chunk {n}", "T", page=n, metadata={"odd": n % 2})
            for n in range(100)
        }
        self.found = found
        self.version = 1
        self.searches = 0
        self.told: Mapping[str, Any] | None = None

    async def collection(self, name: str) -> Collection:
        """Know every collection."""
        return Collection(name, "embedder", self.version)

    async def lexical(
        self, _collection: str, _query: str, top_k: int, where: Mapping[str, Any] | None = None
    ) -> list[LexicalMatch]:
        """Return the scripted hits that pass."""
        self.searches += 1
        self.told = where
        test = metadata_test(where or {})
        passing = [name for name in self.found if test(fields(self.shelf[name]))]
        return [LexicalMatch(name, 10.0 - n) for n, name in enumerate(passing[:top_k])]

    async def files_with(self, _collection: str, where: Mapping[str, Any], limit: int) -> list[str]:
        """Return the files of what passes."""
        test = metadata_test(where)
        return sorted({chunk.file for chunk in self.shelf.values() if test(fields(chunk))})[:limit]

    async def chunks(self, _collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones."""
        return {name: self.shelf[name] for name in ids if name in self.shelf}

    async def at(self, _collection: str, places: Sequence[tuple[str, int]]) -> list[Chunk]:
        """Have nothing there."""
        return []


class Vectors:
    """A store that knows each chunk's file; the chunk of the highest number is nearest."""

    def __init__(self) -> None:
        self.queries: list[VectorQuery] = []

    async def __call__(self, query: VectorQuery, _call: Call) -> list[Match]:
        """Return the nearest that pass."""
        self.queries.append(query)
        test = metadata_test(query.filter or {})
        passing = [n for n in reversed(range(100)) if test({"file": f"{n % 10}.md"})]
        return [Match(f"c{n}", n / 100) for n in passing[: query.top_k]]


def retriever(shelf: Shelf, embed: Any = None, **options: Any) -> Retriever:
    """Retrieve from a shelf."""
    settings = RetrieveSettings(**{"candidates": 5, **options.pop("settings", {})})
    query = options.pop("query", None) or Vectors()
    return Retriever(
        shelf,  # type: ignore[arg-type]  # as much of a catalog as retrieval asks for
        embed or Scripted(VECTOR, forever=True),
        query,
        settings,
        **options,
    )


def ids(ranked: list[tuple[Chunk, float]]) -> list[str]:
    """Name the order."""
    return [chunk.id for chunk, _ in ranked]


async def test_both_sides_are_ranked_as_one() -> None:
    """Best first, with their scores, and no more than asked for."""
    ranked = await retriever(Shelf("c98", "c3")).ranked("k", "q", Call(), limit=3)

    assert ids(ranked) == ["c98", "c99", "c3"]
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)


@pytest.mark.parametrize(
    ("ranking", "first"), [("dense", ["c99", "c98"]), ("lexical", ["c98", "c3"]), ("rrf", ["c98", "c99"])]
)
async def test_a_ranking_can_be_chosen(ranking: str, first: list[str]) -> None:
    """By the settings, or for one question; a side that is not used is not asked."""
    shelf, embed = Shelf("c98", "c3"), Scripted(VECTOR, forever=True)

    chosen = await retriever(shelf, embed).ranked("k", "q", Call(), limit=2, ranking=ranking)
    set_up = await retriever(shelf, embed, settings={"ranking": ranking}).ranked("k", "q", Call(), limit=2)

    assert ids(chosen) == ids(set_up) == first
    assert len(embed.requests) == (0 if ranking == "lexical" else 2)
    assert shelf.searches == (0 if ranking == "dense" else 2)


async def test_dense_alone_falls_back_on_words() -> None:
    """Better a lexical answer than none, and it is said."""
    seen: list[Event] = []
    found = retriever(Shelf("c3"), Scripted(Unavailable("503")))

    assert ids(await found.ranked("k", "q", Call(emit=seen.append), limit=2, ranking="dense")) == ["c3"]
    assert [event.label for event in seen if isinstance(event, Degraded)] == ["lexical_only"]


async def test_what_is_not_set_up_is_refused() -> None:
    """No silence where something else would be measured than was asked for."""
    found = retriever(Shelf("c3"))
    with pytest.raises(SettingsError, match="RUSHHOUR_RERANK__PROVIDER"):
        await found.ranked("k", "q", Call(), limit=2, rerank=True)
    with pytest.raises(SettingsError, match="fusion, rrf, dense, lexical"):
        await found.ranked("k", "q", Call(), limit=2, ranking="best")


async def test_reranking_is_on_where_it_is_set_up() -> None:
    """It reads its candidates even where fewer are asked for; False does without."""
    reverse = Scripted(lambda request: [n / 10 for n in range(len(request.texts))], forever=True)
    found = retriever(Shelf(), rerank=Reranker(reverse, RerankingSettings(candidates=4)))

    assert ids(await found.ranked("k", "q", Call(), limit=2)) == ["c96", "c97"]
    assert ids(await found.ranked("k", "q", Call(), limit=2, rerank=False)) == ["c99", "c98"]
    assert len(reverse.requests) == 1


async def test_a_filter_the_store_knows_is_left_to_it() -> None:
    """Both sides are told, and nothing else is found."""
    shelf, query = Shelf("c13", "c14"), Vectors()
    wanted = Comparison("eq", "file", "3.md")

    ranked = await retriever(shelf, query=query).ranked("k", "q", Call(), limit=9, filters=wanted)

    assert set(ids(ranked)) == {"c93", "c83", "c73", "c63", "c53", "c13"}
    assert query.queries[0].filter == {"file": {"$in": ["3.md"]}}
    assert len(query.queries) == 1
    assert shelf.told == {"file": {"$eq": "3.md"}}


async def test_a_filter_the_store_does_not_know_widens_the_search() -> None:
    """Until there are enough, or no more."""
    query = Vectors()
    found = retriever(Shelf(), query=query)

    ranked = await found.ranked("k", "q", Call(), limit=9, filters=Comparison("lt", "page", 40))
    few = await found.ranked("k", "q", Call(), limit=9, filters=Comparison("lt", "page", 2))

    assert ids(ranked) == ["c39", "c38", "c37", "c36", "c35"]
    assert ids(few) == ["c1", "c0"]
    assert [one.top_k for one in query.queries[:4]] == [5, 20, 80, 5]


class Read(Shelf):
    """A shelf that notes which chunks are read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    async def chunks(self, _collection: str, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the visible ones."""
        self.read.extend(ids)
        return await super().chunks(_collection, ids)


async def test_each_chunk_is_tested_once_however_often_the_search_widens() -> None:
    """What a wider look finds again is neither read nor tested again."""
    shelf = Read()
    search = Search(shelf, Scripted(VECTOR, forever=True), Vectors(), 5, 0.5)  # type: ignore[arg-type]  # a stand-in

    hits = await search("k", "q", Call(), FUSIONS["dense"], Comparison("lt", "page", 40))

    assert list(hits) == ["c39", "c38", "c37", "c36", "c35"]
    assert sorted(shelf.read) == sorted(f"c{n}" for n in range(20, 100))


async def test_true_and_one_are_two_questions() -> None:
    """Python takes them for equal, filters do not: neither in flight nor among what is kept."""
    shelf = Shelf("c3")
    shelf.shelf["c3"] = replace(shelf.shelf["c3"], metadata={"draft": True})
    found = retriever(shelf, found=LruCache(10))
    yes, one = Comparison("eq", "draft", True), Comparison("eq", "draft", 1)

    at_once = await asyncio.gather(*(found("k", "q", Call(), filters=wanted) for wanted in (yes, one)))
    afterwards = [await found("k", "q", Call(), filters=wanted) for wanted in (one, yes)]

    assert [len(passages) for passages in (*at_once, *afterwards)] == [1, 0, 0, 1]


async def test_no_question_is_embedded_for_a_filter_that_nothing_passes() -> None:
    """Whom nothing can answer costs nothing."""
    embed = Scripted()

    assert await retriever(Shelf("c3"), embed)("k", "q", Call(), filters=Comparison("gt", "page", 100)) == []
    assert embed.requests == []


async def test_a_store_that_ignores_its_filter_is_not_believed() -> None:
    """Whatever the sides return, no chunk leaves that does not pass."""

    async def careless(query: VectorQuery, _call: Call) -> list[Match]:
        return [Match(f"c{n}", 0.5) for n in range(query.top_k)]

    found = retriever(Shelf(), query=careless)
    passages = await found("k", "q", Call(), filters=Comparison("eq", "file", "3.md"))

    assert {passage.file for passage in passages} == {"3.md"}


async def test_equal_questions_at_once_are_one_search() -> None:
    """The others wait for it and find the same."""
    shelf, embed = Shelf("c3"), Scripted(VECTOR, seconds=1.0, forever=True)
    found = retriever(shelf, embed, found=LruCache(10))
    seen: list[Event] = []

    first, *others = await asyncio.gather(*(found("k", "q", Call(str(n), emit=seen.append)) for n in range(5)))
    other = await found("k", "q", Call(), filters=Comparison("lt", "page", 50))

    assert all(passages == first for passages in others)
    assert other != first
    assert len(embed.requests) == 2
    assert [event.how for event in seen if isinstance(event, Reused)] == ["in_flight"] * 4


async def test_all_who_waited_are_told_in_what_way_it_is_less() -> None:
    """A shared find is no less degraded; and it is not kept."""
    embed = Scripted(Unavailable("503"), VECTOR, seconds=1.0, forever=True)
    found = retriever(Shelf("c3"), embed, found=LruCache(10))
    seen: dict[str, list[Event]] = {name: [] for name in "abc"}

    await asyncio.gather(*(found("k", "q", Call(name, emit=seen[name].append)) for name in "ab"))
    await found("k", "q", Call("c", emit=seen["c"].append))

    labels = {name: [e.label for e in events if isinstance(e, Degraded)] for name, events in seen.items()}
    assert labels == {"a": ["lexical_only"], "b": ["lexical_only"], "c": []}
    assert len(embed.requests) == 2


async def test_who_has_more_time_does_not_get_what_haste_has_found() -> None:
    """The one in a hurry gets words alone; the other one waits for vectors."""

    async def slow(_text: Any, call: Call) -> Any:
        await asyncio.sleep(min(3.0, call.deadline - asyncio.get_running_loop().time()))
        if asyncio.get_running_loop().time() >= call.deadline:
            raise DeadlineExceeded("too late")
        return VECTOR

    found = retriever(Shelf("c3"), slow)
    seen: dict[str, list[Event]] = {"hasty": [], "patient": []}
    hasty, patient = await asyncio.gather(
        found("k", "q", Call("hasty", 2.0, emit=seen["hasty"].append)),
        found("k", "q", Call("patient", 60.0, emit=seen["patient"].append)),
    )

    assert [passage.chunk_id for passage in hasty] == ["c3"]
    assert "c99" in [passage.chunk_id for passage in patient]
    assert [any(isinstance(e, Degraded) for e in events) for events in seen.values()] == [True, False]


async def test_an_edition_is_what_is_kept() -> None:
    """What was found in one version of a collection says nothing of the next."""
    shelf, embed = Shelf("c3"), Scripted(VECTOR, forever=True)
    found = retriever(shelf, embed, found=LruCache(10))

    await found("k", "q", Call())
    await found("k", "q", Call())
    shelf.version = 2
    await asyncio.sleep(1)
    await found("k", "q", Call())

    assert len(embed.requests) == 2


async def test_passages_tell_their_place() -> None:
    """File, page and span, for citations that can be looked up."""
    shelf = Shelf("c12")
    shelf.shelf = {"c12": replace(shelf.shelf["c12"], start=100, end=116)}
    found = retriever(shelf, Scripted(Unavailable("503")))
    (passage,) = await found("k", "q", Call())

    assert (passage.file, passage.page, passage.start, passage.end) == ("2.md", 12, 100, 116)
