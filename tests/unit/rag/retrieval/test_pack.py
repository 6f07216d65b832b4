"""Hits become passages: neighbours joined, duplicates dropped, the budget kept."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rushhour.catalog.contract import Chunk
from rushhour.rag.retrieval.duplicates import Seen
from rushhour.rag.retrieval.pack import Packer, PackSettings
from rushhour.rag.retrieval.stretch import Stretch

DOCUMENT = " ".join(f"Sentence number {n} says something about topic {n % 7}." for n in range(60))


def cut(text: str, size: int, overlap: int, file: str = "a.md") -> list[Chunk]:
    """Cut a text into overlapping chunks of `size` characters."""
    starts = range(0, max(1, len(text) - overlap), size - overlap)
    return [
        Chunk(f"{file}-{n}", file, n, text[start : start + size], "T", start=start, end=min(start + size, len(text)))
        for n, start in enumerate(starts)
    ]


CHUNKS = cut(DOCUMENT, 400, 50)


class Shelf:
    """A catalog that knows what stands next to a chunk."""

    def __init__(self, *chunks: Chunk) -> None:
        self._places = {(chunk.file, chunk.position): chunk for chunk in chunks}
        self.asked: list[tuple[str, int]] = []

    async def at(self, _collection: str, places: Sequence[tuple[str, int]]) -> list[Chunk]:
        """Return what is there."""
        self.asked += places
        return [self._places[place] for place in places if place in self._places]


def packer(*chunks: Chunk, **settings: int) -> Packer:
    """Pack over a shelf."""
    return Packer(Shelf(*chunks), PackSettings(**{"short": 0, **settings}))  # type: ignore[arg-type]  # a stand-in


def ranked(*chunks: Chunk) -> list[tuple[Chunk, float]]:
    """Score chunks in the order given."""
    return [(chunk, 1.0 - n / 100) for n, chunk in enumerate(chunks)]


async def test_neighbours_become_one_passage() -> None:
    """In the order of the document, what overlaps said once, at the place of the better hit."""
    other = Chunk("o", "b.md", 0, "Something else entirely.", start=0, end=24)

    passages = await packer()("c", ranked(CHUNKS[2], other, CHUNKS[1]), 8)

    assert [(passage.number, passage.chunk_id, passage.file) for passage in passages] == [
        (1, "a.md-2", "a.md"),
        (2, "o", "b.md"),
    ]
    first = passages[0]
    assert (first.start, first.end) == (CHUNKS[1].start, CHUNKS[2].end)
    assert first.text == DOCUMENT[first.start : first.end]
    assert first.score == 1.0


async def test_a_hit_may_close_a_gap() -> None:
    """Two passages become one when what stood between them is a hit too."""
    passages = await packer(longest=4000)("c", ranked(CHUNKS[1], CHUNKS[3], CHUNKS[2]), 8)

    assert [(passage.start, passage.end) for passage in passages] == [(CHUNKS[1].start, CHUNKS[3].end)]


async def test_joined_passages_stay_short_enough() -> None:
    """A document of which everything is a hit does not become one passage."""
    passages = await packer(longest=200)("c", ranked(*CHUNKS[:6]), 8)

    assert len(passages) == 3
    assert all(len(passage.text) <= 800 for passage in passages)


async def test_joined_hits_count_as_several() -> None:
    """`top_k` bounds what is paid for, however it is told."""
    others = [Chunk(str(n), f"{n}.md", 0, f"Quite another text, of file {n} alone.") for n in range(5)]

    passages = await packer()("c", ranked(CHUNKS[0], CHUNKS[1], *others), 3)

    assert [passage.chunk_id for passage in passages] == ["a.md-0", "0"]


async def test_a_heading_between_neighbours_keeps_its_place() -> None:
    """The passage's characters stay those of the document, so that a span in it can be found there."""
    text = "First section's text ends here.\n\n## Second part\n\nSecond section's text."
    start = text.index("Second section")
    first = Chunk("1", "a.md", 0, text[:31], "T", "First", start=0, end=31)
    second = Chunk("2", "a.md", 1, text[start:], "T", "Top > Second part", start=start, end=len(text))

    (passage,) = await packer()("c", ranked(second, first), 8)

    assert (passage.start, passage.end, len(passage.text)) == (0, len(text), len(text))
    assert passage.text.index("Second section") == start
    assert "Second part" in passage.text
    assert (passage.heading, passage.chunk_id) == ("First", "2")


async def test_far_apart_is_not_joined() -> None:
    """Neither is what stands at unknown places."""
    far = replace(CHUNKS[1], start=CHUNKS[1].start + 2000, end=CHUNKS[1].end + 2000)
    unmapped = [replace(chunk, start=0, end=0) for chunk in CHUNKS[:2]]

    assert len(await packer()("c", ranked(CHUNKS[0], far), 8)) == 2
    assert len(await packer()("c", ranked(*unmapped), 8)) == 2


async def test_near_duplicates_are_dropped() -> None:
    """What is contained in a better hit, up to small differences, adds nothing."""
    part = Chunk("p", "b.md", 0, DOCUMENT[60:300].replace("number 3", "NUMBER  3"))
    edited = Chunk("e", "c.md", 0, CHUNKS[0].text.replace("topic 2", "theme two", 1))
    different = Chunk("d", "d.md", 0, " ".join(reversed(CHUNKS[0].text.split())))

    passages = await packer()("c", ranked(CHUNKS[0], part, edited, different), 8)

    assert [passage.chunk_id for passage in passages] == ["a.md-0", "d"]


async def test_of_equal_texts_the_one_nearer_to_its_title_is_shown() -> None:
    """At the place of the first, whichever of several comes last."""
    twins = [
        Chunk(str(n), f"{n}.md", 0, "The same text.", "T", heading) for n, heading in enumerate(("A > B", "A", ""))
    ]

    passages = await packer()("c", ranked(*twins), 8)

    assert [passage.chunk_id for passage in passages] == ["2"]


async def test_the_budget_is_kept_but_for_the_first() -> None:
    """A hundred tokens are four hundred characters."""
    apart = [CHUNKS[0], CHUNKS[2], CHUNKS[4]]

    assert len(await packer(budget=210)("c", ranked(*apart), 8)) == 2
    assert len(await packer(budget=10)("c", ranked(*apart), 8)) == 1


async def test_a_short_hit_is_continued() -> None:
    """With what follows, then with what stands before, as far as there is room."""
    small = cut(DOCUMENT, 200, 20)
    pack = packer(*small, short=60, filled=150)

    (passage,) = await pack("c", ranked(small[3]), 8)

    assert (passage.start, passage.end) == (small[2].start, small[4].end)
    assert passage.text == DOCUMENT[passage.start : passage.end]
    assert (passage.chunk_id, passage.score) == (small[3].id, 1.0)


async def test_growth_ends_at_the_budget_and_at_the_document() -> None:
    """What is left of the budget bounds it; the last chunk has nothing behind it."""
    small = cut(DOCUMENT, 200, 20)

    (tight,) = await packer(*small, short=60, budget=60)("c", ranked(small[3]), 8)
    (last,) = await packer(*small, short=60)("c", ranked(small[-1]), 8)

    assert (tight.start, tight.end) == (small[3].start, small[3].end)
    assert (last.start, last.end) == (small[-2].start, small[-1].end)


async def test_nothing_becomes_nothing() -> None:
    """No hits, no passages."""
    assert await packer()("c", [], 8) == []


async def test_a_models_tokens_are_counted_once_a_chunk() -> None:
    """Chunk ids stand for their texts."""
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return len(text.split())

    pack = Packer(Shelf(), PackSettings(budget=60, short=0), count)  # type: ignore[arg-type]  # a stand-in
    hits = ranked(CHUNKS[0], CHUNKS[2])

    first, again = await pack("c", hits, 8), await pack("c", hits, 8)

    assert first == again
    assert len(first) == 1
    assert len(counted) == 2


@given(st.permutations(range(len(CHUNKS))), st.integers(1, 9), st.integers(100, 3000))
async def test_every_passage_is_its_documents_text(order: list[int], top_k: int, longest: int) -> None:
    """Whatever is hit in whatever order: text, span and numbers agree, and nothing is said twice."""
    hits = ranked(*(CHUNKS[n] for n in order))

    passages = await packer(longest=longest)("c", hits, top_k)

    assert [passage.number for passage in passages] == list(range(1, len(passages) + 1))
    assert len(passages) <= top_k
    assert all(passage.text == DOCUMENT[passage.start : passage.end] for passage in passages)
    assert [passage.score for passage in passages] == sorted((p.score for p in passages), reverse=True)
    starts = sorted((passage.start, passage.end) for passage in passages)
    assert all(before[0] < after[0] and before[1] < after[1] for before, after in pairwise(starts))


def test_stretches_know_their_neighbours() -> None:
    """The first chunk of a document has none before it."""
    assert Stretch.of(CHUNKS[0], 1, 0).beside() == (("a.md", 1),)
    assert Stretch.of(CHUNKS[3], 1, 0).beside() == (("a.md", 4), ("a.md", 2))


def test_empty_and_tiny_texts_are_told_apart() -> None:
    """Fewer than five words are one run."""
    seen = Seen()

    assert [seen.add(text) for text in ("Yes, of course.", "yes,  of course.", "No.", "", "")] == [
        True, False, True, True, False,
    ]  # fmt: skip
