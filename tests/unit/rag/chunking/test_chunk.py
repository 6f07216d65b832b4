"""Chunks: by structure, of bounded size, overlapping by sentences, with ids that last."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.catalog.contract import Chunk
from rushhour.errors import EmptyDocument
from rushhour.rag.chunking.chunk import Chunking, Piece, chunk, embedding_text, identified
from rushhour.rag.parse import Document, Section, parse
from rushhour.rag.tokens import about_four_characters

SENTENCES = [f"Sentence number {n} says something that is worth {n} words or so." for n in range(400)]
SMALL = Chunking(size=100, overlap=20)


def tokens(text: str) -> int:
    """Count as the default does."""
    return about_four_characters(text)


def markdown(text: str) -> Document:
    """Parse Markdown."""
    return parse("doc.md", text.encode())


def test_a_section_that_fits_is_one_chunk() -> None:
    """With its heading path; the heading itself is not in the text."""
    body = " ".join(SENTENCES[:5])
    pieces = chunk(markdown(f"# T\n\n{body}\n\n## A\n\n{body}\n\n### B\n\n{body}\n"), SMALL)

    assert [(piece.heading, piece.text) for piece in pieces] == [("", body), ("A", body), ("A > B", body)]


def test_short_sections_join_the_next_with_their_headings_inside() -> None:
    """A sentence on its own says little; the path is what they have in common."""
    (piece,) = chunk(markdown("# T\n\n## A\n\nShort.\n\n### B\n\nShort too.\n\n### C\n\nAlso.\n"), SMALL)

    assert piece.heading == "A"
    assert piece.text == "Short.\n\n### B\n\nShort too.\n\n### C\n\nAlso."


def test_a_long_section_is_cut_between_sentences_and_overlaps() -> None:
    """Every chunk begins and ends with a whole sentence, and repeats the end of the one before."""
    pieces = chunk(markdown(f"# T\n\n{' '.join(SENTENCES)}\n"), SMALL)

    assert len(pieces) > 50
    for piece in pieces:
        assert piece.text.startswith("Sentence number")
        assert piece.text.endswith("or so.")
        assert tokens(piece.text) <= 100
    for before, after in pairwise(pieces):
        assert 0 < before.end - after.start <= 4 * 20


def test_paragraphs_are_kept_whole_where_they_fit() -> None:
    """A cut lies between paragraphs rather than inside one."""
    paragraphs = [" ".join(SENTENCES[3 * n : 3 * n + 3]) for n in range(40)]

    pieces = chunk(markdown("\n\n".join(paragraphs)), Chunking(size=150, overlap=0))

    assert [line for piece in pieces for line in piece.text.split("\n\n")] == paragraphs


def test_code_blocks_are_kept_whole_where_they_fit() -> None:
    """Half a fence is no code."""
    code = "```python\n" + "\n\n".join(f"def f{n}():\n    return {n}" for n in range(6)) + "\n```"
    text = "\n\n".join(f"{' '.join(SENTENCES[4 * n : 4 * n + 4])}\n\n{code}" for n in range(8))

    pieces = chunk(markdown(text), Chunking(size=180, overlap=30))

    assert all(piece.text.count("```") % 2 == 0 for piece in pieces)
    assert sum(piece.text.count(code) for piece in pieces) >= 8


def test_size_covers_title_and_headings() -> None:
    """What is embedded is bounded, not the text alone."""
    title = "A long title that goes on for quite a while " * 2
    pieces = chunk(markdown(f"---\ntitle: {title}\n---\n# Head\n\n{' '.join(SENTENCES)}"), SMALL)

    for one in identified("c", "f", title.strip(), "s", pieces):
        assert tokens(embedding_text(one)) <= 101


def test_pages_of_one_text_are_cut_as_one() -> None:
    """A chunk may span two pages; it is on the page where it begins."""
    first, second = " ".join(SENTENCES[:9]), " ".join(SENTENCES[9:18])
    sections = (Section(first, (), 1, 0), Section(second, (), 2, len(first) + 2))

    pieces = chunk(Document("T", f"{first}\n\n{second}", sections), SMALL)

    assert [piece.page for piece in pieces] == sorted(piece.page or 0 for piece in pieces)
    assert {piece.page for piece in pieces} == {1, 2}
    assert all((piece.page == 2) == (piece.start >= len(first)) for piece in pieces)


def test_denser_text_is_cut_at_its_own_rate() -> None:
    """A tokenizer may count far more tokens in one part than on average; the limit holds there too."""

    def count(text: str) -> int:
        return sum(10 if character.isdigit() else 1 for character in text) // 4 + 1

    prose, figures = " ".join(SENTENCES[:150]), " ".join(str(n) * 9 for n in range(100, 300))
    pieces = chunk(markdown(f"{prose}\n\n{figures}\n\n{prose}"), Chunking(200, 20, count, "test"))

    assert all(count(piece.text) <= 200 for piece in pieces)


@given(
    st.lists(
        st.sampled_from(["# H\n", "## I\n", "word ", "Sentence. ", "\n", "\n\n", "```\n", "x" * 90, "ü🦭 "]),
        max_size=60,
    )
)
def test_nothing_is_lost_and_every_offset_is_right(parts: list[str]) -> None:
    """Whatever is cut: chunks are slices of the text, in order, within size, and cover all that is not blank."""
    try:
        document = markdown("".join(parts))
    except EmptyDocument:
        return
    chunking = Chunking(size=40, overlap=6)
    pieces = chunk(document, chunking)

    covered: set[int] = set()
    for piece in pieces:
        assert document.text[piece.start : piece.end] == piece.text
        assert piece.text.strip()
        assert tokens(piece.text) <= 41
        covered.update(range(piece.start, piece.end))
    assert [piece.start for piece in pieces] == sorted({piece.start for piece in pieces})
    for section in document.sections:
        missing = "".join(c for n, c in enumerate(section.text, section.start) if n not in covered)
        assert not missing.strip()


@given(
    st.lists(
        st.sampled_from(
            ["A plain sentence of some words. ", "文章はとても密です。", "Η πρόταση είναι μακρά. ", "😀😀😀 ", "\n\n"]
        ),
        min_size=1,
        max_size=60,
    )
)
def test_a_chunk_fits_however_dense_the_text_before_it(parts: list[str]) -> None:
    """What it repeats from there may have more tokens a character than the rest."""

    def dense(text: str) -> int:
        return sum(4 if ord(character) > 127 else 1 for character in text)

    document = markdown(f"# T\n\nText.\n\n{''.join(parts)}\n")

    for piece in chunk(document, Chunking(size=150, overlap=60, count=dense, counter="dense")):
        assert dense(piece.text) + len("T\n\n") <= 150


def test_ids_survive_insertions_elsewhere() -> None:
    """Only the new chunk has a new id; equal texts are counted apart."""
    texts = ["one", "two", "one", "three"]
    before = ids_of(texts)
    after = ids_of(["new", *texts])

    assert len(set(before)) == 4
    assert after[1:] == before
    assert before[0].removesuffix("-0") == before[2].removesuffix("-1")


def ids_of(texts: list[str]) -> list[str]:
    """Return the ids of chunks with these texts."""
    pieces = [Piece(text, "", None, 0, len(text)) for text in texts]
    return [one.id for one in identified("docs", "a/b.txt", "T", "s", pieces)]


def test_ids_have_the_promised_form() -> None:
    """Collection, file, the text's digest and a number; ASCII whatever the file is called."""
    (one,) = identified("docs", "a/Über 100%.txt", "T", "s", [Piece("text", "H", 3, 5, 9)])

    assert re.fullmatch(r"docs/a/%C3%9Cber 100%25\.txt/982d9e3eb996f559-0", one.id)
    assert one == Chunk(one.id, "a/Über 100%.txt", 0, "text", "T", "H", 3, 5, 9, "s")


@pytest.mark.parametrize(
    ("title", "heading", "expected"),
    [("T", "A > B", "T\nA > B\n\ntext"), ("T", "", "T\n\ntext"), ("", "A", "A\n\ntext"), ("", "", "text")],
)
def test_what_is_embedded_says_where_it_stands(title: str, heading: str, expected: str) -> None:
    """Title, headings, then the text."""
    assert embedding_text(Chunk("id", "f", 0, "text", title, heading)) == expected


def test_a_chunking_names_all_that_shapes_its_chunks() -> None:
    """The fingerprint of a file depends on it."""
    names = {str(Chunking()), str(Chunking(size=299)), str(Chunking(overlap=1)), str(Chunking(counter="other"))}

    assert len(names) == 4
