"""Chunks of real-looking documents: headings, paragraphs, sentences and code are where a reader would part them."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.rag.chunking import cut as cutting
from rushhour.rag.chunking.chunk import Chunking, Piece, chunk
from rushhour.rag.chunking.code_blocks import code_blocks
from rushhour.rag.parse import Document, Section, parse
from rushhour.rag.tokens import about_four_characters as tokens

SENTENCE = "The depot opens at seven and the first van leaves a quarter of an hour later. "
HANDBOOK = f"""---
title: Depot handbook
---
# Depot handbook

{SENTENCE * 3}

## Vans

{SENTENCE * 4}

### Loading

{SENTENCE * 40}

### Returns

{SENTENCE * 2}

## Keys

Keys hang at the door.
"""
SCRIPT = (
    "def plan(vans):\n"
    '    """Plan a day."""\n'
    "    routes = []\n"
    "    for van in vans:\n"
    "        routes.append(route(van, starts_at=7))\n"
    "\n"
    "    return routes\n"
)
MODULE = '"""Routes of the day."""\n\nimport csv\n\n\n' + "\n\n".join(
    f'class Route{n}:\n    """One route."""\n\n'
    + "\n".join(
        f"    def step_{step}(self, van: str) -> int:\n"
        f"        # The {step}th stop of route {n}.\n"
        + "".join(f"        total_{line} = self.weigh(van, {line}) + {step}\n" for line in range(8))
        + f"        return total_{step}\n"
        for step in range(6)
    )
    for n in range(4)
)


def markdown(text: str, size: int = 120, overlap: int = 20) -> list[Piece]:
    """Cut Markdown."""
    return chunk(parse("doc.md", text.encode()), Chunking(size, overlap))


def test_headings_part_a_handbook() -> None:
    """A chunk has one section's path, without the title that the document repeats as its first heading."""
    pieces = markdown(HANDBOOK)

    paths = [piece.heading for piece in pieces]
    assert list(dict.fromkeys(paths)) == ["", "Vans", "Vans > Loading", "Vans > Returns", "Keys"]
    assert paths.count("Vans > Loading") > 5
    assert not any("#" in piece.text for piece in pieces)


def test_sentences_are_never_cut() -> None:
    """Each chunk of prose begins with a sentence's first word and ends with a full stop."""
    loading = [piece for piece in markdown(HANDBOOK) if piece.heading == "Vans > Loading"]

    for piece in loading:
        assert piece.text.startswith("The depot")
        assert piece.text.endswith("later.")
    for before, after in pairwise(loading):
        assert before.end > after.start, "each begins with the last sentence of the one before"


@pytest.mark.parametrize(
    "sentence",
    [
        "The depot's first van doesn't wait for the driver's tea. ",
        'The board says "north" and the driver says "south" until noon. ',
        "The depot runs `vans --now` and [asks](https://example.org) for **more** keys. ",
        "The depot <b>opens</b> at seven ... and closes -- on most days -- at ten. ",
    ],
)
@pytest.mark.parametrize("title", ["", "Short before it.\n\n"])
def test_marks_within_a_line_part_no_sentence(sentence: str, title: str) -> None:
    """To the splitter an apostrophe, a code span or a link is a better place to cut than the end of a sentence."""
    pieces = markdown(f"{title}{sentence * 60}\n\n{sentence * 2}")

    assert len(pieces) > 5
    for piece in pieces[1:]:
        assert piece.text.startswith("The ")
    for piece in pieces:
        assert piece.text.endswith(".")


def test_lines_with_marks_are_whole() -> None:
    """Items of a list and lines without blank lines between them are cut between, not within."""
    item = "- The driver's list has `keys`, the depot's [map](map.md) and \"tea\" for **two**"

    for piece in markdown("\n".join([item] * 60), overlap=0):
        assert set(piece.text.splitlines()) == {item}


def test_the_end_of_a_long_paragraph_joins_what_follows() -> None:
    """It makes no chunk of its own if both fit."""
    sentence = "The driver's list doesn't say so. "
    last = markdown(f"{sentence * 31}\n\nShort.", size=100, overlap=0)[-1]

    assert last.text.startswith("The driver's")
    assert last.text.endswith("\n\nShort.")


def fenced(code: str) -> str:
    """Write a block as Markdown and README files mostly do."""
    return f"```python\n{code}```"


def indented(code: str) -> str:
    """Write a block as Markdown first did."""
    return "\n".join(f"    {line}" if line else "" for line in code.splitlines())


@pytest.mark.parametrize("written", [fenced, indented])
@pytest.mark.parametrize("repeat", [1, 2])
def test_code_that_fits_is_whole(written: Callable[[str], str], repeat: int) -> None:
    """Small blocks, and those that fit only if nothing else is with them."""
    block = written(SCRIPT * repeat)
    assert tokens(block) < 110
    text = "\n\n".join(f"{SENTENCE * (n % 5 + 1)}\n\n{block}" for n in range(12))

    pieces = markdown(text)

    for found in re.finditer(re.escape(block), text):
        assert any(piece.start <= found.start() and found.end() <= piece.end for piece in pieces)
    assert max(tokens(piece.text) for piece in pieces) <= 120


def test_a_sentence_that_introduces_code_stays_with_it() -> None:
    """“For example:” on its own helps nobody."""
    text = "\n\n".join(f"{SENTENCE * 4}\n\nFor example, number {n}:\n\n{fenced(SCRIPT)}" for n in range(8))

    pieces = markdown(text)

    for n in range(8):
        assert any(f"number {n}:\n\n```python" in piece.text for piece in pieces)


def test_long_code_is_cut_between_lines() -> None:
    """At blank lines first; a statement is never cut in two."""
    text = f"{SENTENCE.strip()}\n\n{fenced(SCRIPT * 40)}\n\n{SENTENCE.strip()}"

    pieces = markdown(text, overlap=0)

    lines = set(text.splitlines())
    assert len(pieces) > 10
    for piece in pieces:
        assert set(piece.text.splitlines()) <= lines
        assert tokens(piece.text) <= 120


def test_a_fence_that_is_never_closed_harms_nothing_before_it() -> None:
    """It reaches to the end of the document; what comes before is cut as usual."""
    text = f"{SENTENCE * 20}\n\n```\n{SCRIPT * 60}"

    pieces = markdown(text, overlap=0)

    before = [piece for piece in pieces if piece.start < text.index("```")]
    assert len(before) > 3
    assert all(piece.text.endswith("later.") for piece in before)
    assert pieces[-1].end == len(text.rstrip())


def test_functions_of_a_program_are_whole() -> None:
    """Each method is in one chunk with its comment, under its class and its own name."""
    pieces = chunk(parse("routes.py", MODULE.encode()), Chunking(200, 25))

    for n in range(4):
        for step in range(6):
            method = re.compile(
                rf"    def step_{step}\(self, van: str\) -> int:\n        # The {step}th stop of route {n}\.\n"
                rf"(?:        total_.*\n){{8}}        return total_{step}"
            )
            (holding,) = [piece for piece in pieces if method.search(piece.text)]
            assert holding.heading.startswith(f"class Route{n}") or step == 0, "its class's first line may come before"
            assert f"class Route{n}" in holding.heading + holding.text


def test_pages_are_found_in_a_long_document() -> None:
    """Five thousand pages are one text, and each chunk knows the page where it begins."""
    page = SENTENCE * 2
    sections = tuple(Section(page, (), n + 1, n * len(page)) for n in range(5_000))

    pieces = chunk(Document("Log", page * 5_000, sections), Chunking(400, 0))

    assert len(pieces) == 500
    assert all(piece.page == piece.start // len(page) + 1 for piece in pieces)


WINDOW = 10 * 400
"""Characters: ten chunks of a hundred tokens."""
CROWDED = [
    "word ",
    "漢字",
    "- item\n",
    "|a|b|\n",
    "> quoted ",
    "it's `x` ",
    "it's `x` and no end\n",
    "it's `x`. " * 50 + "\n",
    "line without end\n",
    "x",
    "```\ncode\n```\n",
    "\n\n    x = 1\n\ny\n\n",
]


@pytest.mark.parametrize("unit", CROWDED)
@pytest.mark.parametrize("markup", ["plain", "markdown"])
def test_work_grows_with_the_text_and_no_faster(unit: str, markup: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the text is made of, the splitter never sees more than a window, even where each cut starts it anew."""
    seen: list[int] = []

    def counting(splitter: type) -> type:
        class Counting:
            def __init__(self, capacity: int, trim: bool) -> None:
                self._splitter = splitter(capacity, trim=trim)

            def chunk_indices(self, text: str) -> list[tuple[int, str]]:
                seen.append(len(text))
                found: list[tuple[int, str]] = self._splitter.chunk_indices(text)
                return found

        return Counting

    for name in ("TextSplitter", "MarkdownSplitter"):
        monkeypatch.setattr(cutting, name, counting(getattr(cutting, name)))
    text = unit * (45_000 // len(unit))
    document = Document("T", text, (Section(text, (), None, 0),), "markdown" if markup == "markdown" else "plain")

    pieces = chunk(document, Chunking(100, 10))

    assert len(pieces) > 100
    assert max(seen) <= WINDOW
    assert sum(seen) <= (12 if "`" in unit else 2) * len(text)


@settings(max_examples=30)
@given(st.lists(st.sampled_from([SENTENCE, "\n\n", "- item\n", "word ", fenced(SCRIPT) + "\n\n", "\n"]), min_size=40))
def test_windows_change_nothing(parts: list[str]) -> None:
    """A document is cut as if the splitter saw all of it."""
    text = "".join(parts)
    room = cutting.Room(40, 5, tokens)
    windowed = list(cutting.cut(text, tokens(text), room, "markdown"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cutting, "_WINDOW", 10**9)
        assert list(cutting.cut(text, tokens(text), room, "markdown")) == windowed


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("a\n\n```py\nx\n```\nb\n", ["```py\nx\n```\n"]),
        ("~~~\n```\n~~~\n", ["~~~\n```\n~~~\n"]),
        ("````\n```\n````\n", ["````\n```\n````\n"]),
        ("- item:\n\n  ```\n  x\n  ```\n", ["  ```\n  x\n  ```\n"]),
        ("a\n\n    x\n\n    y\n\nb\n", ["    x\n\n    y\n"]),
        ("a\n    goes on\n", []),
        ("\tx\n", ["\tx\n"]),
        ("```\nnever closed\n", ["```\nnever closed\n"]),
        ("a\n\n    x\n```\ny\n```\n", ["    x\n", "```\ny\n```\n"]),
        ("``` not `a` fence\n", []),
    ],
)
def test_code_blocks_are_found(text: str, blocks: list[str]) -> None:
    """Fences of both kinds and any length, indented blocks, and what only looks like either."""
    assert [text[start:end] for start, end in code_blocks(text)] == blocks
