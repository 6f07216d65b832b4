"""Plain text and Markdown: encodings, headings, titles, offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import EmptyDocument, UnreadableDocument, UnsupportedFormat
from rushhour.rag.parse import PARSERS, Document, parse, parser


def outline(document: Document) -> list[tuple[str, str]]:
    """Return each section's heading path and text, having checked that its offsets are right."""
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text
    return [(section.heading_path, section.text) for section in document.sections]


@pytest.mark.parametrize("name", ["a.xyz", "a", "archive.tar.gz", "a.doc"])
def test_an_unsupported_format_names_the_supported_ones(name: str) -> None:
    """The message helps."""
    with pytest.raises(UnsupportedFormat, match=rf"{name}.*Supported are .*\.pdf .*and source code"):
        parse(name, b"x")


@pytest.mark.parametrize("form", PARSERS)
def test_every_format_has_its_parser(form: str) -> None:
    """The registry names what exists; a file of each format that holds no text is an error of its own."""
    assert callable(parser(form))
    with pytest.raises(EmptyDocument):
        parse(f"a{form}" if form.startswith(".") else form, b" ")


def test_a_given_format_outranks_the_name() -> None:
    """As for pages, whose URLs say nothing."""
    assert parse("https://example.com/guide", b"# A\n\nText.", ".md").title == "A"


@pytest.mark.parametrize(
    "text",
    [
        "a" * 300_000,
        "# " + "`" * 50_000,
        "# " + "*a " * 50_000,
        "---\ntitle: " + " " * 50_000 + "\n---\nx",
        "# a" + " #" * 50_000 + "x",
    ],
    ids=["letters", "ticks", "stars", "front matter", "hashes"],
)
@pytest.mark.parametrize("suffix", [".txt", ".md", ".rst", ".py", ".js"])
@pytest.mark.timeout(20)
def test_an_enormous_line_is_read_in_linear_time(text: str, suffix: str) -> None:
    """What would take a careless expression hours takes milliseconds; nothing is lost."""
    assert len(parse(f"a{suffix}", text.encode()).text) >= len(text) - 10


def test_a_text_too_long_to_be_one_document_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr("rushhour.rag.parse.MAX_CHARACTERS", 10)

    with pytest.raises(UnreadableDocument, match=r"a\.txt holds 11 characters, and 10 are read"):
        parse("a.txt", b"x" * 11)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html", "a.pdf"])
@pytest.mark.parametrize("content", [b"", b" \n\t\r\n "])
def test_an_empty_document_is_said_to_be_empty(name: str, content: bytes) -> None:
    """Of whatever format."""
    with pytest.raises(EmptyDocument, match=f"{name} is empty"):
        parse(name, content)


@pytest.mark.parametrize(("name", "content"), [("a.md", b"---\ntitle: x\n---\n"), ("a.html", b"<p> </p>")])
def test_a_document_without_text_is_empty(name: str, content: bytes) -> None:
    """Markup alone is nothing to find."""
    with pytest.raises(EmptyDocument, match="holds no text"):
        parse(name, content)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.md", b"# Only a title\n", "# Only a title"),
        ("a.md", b"---\nauthor: x\n---\n# Words\n\n## Deque\n\n## Heap\n", "# Words\n\n## Deque\n\n## Heap"),
        ("a.rst", b"Words\n=====\n\nDeque\n-----\n", "# Words\n\n## Deque"),
        ("a.html", b"<h1>Words</h1><h2>Deque</h2>", "Deque"),
    ],
)
def test_a_document_of_headings_alone_says_what_they_say(name: str, content: bytes, text: str) -> None:
    """A page that is only begun is no failure, and a list of headings can be asked about."""
    (section,) = parse(name, content).sections
    assert text in section.text
    assert section.headings == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_text_is_decoded(encoding: str, suffix: str) -> None:
    """Byte order mark, UTF-8, else Windows' own."""
    assert parse(f"a{suffix}", "Café – “naïve”\r\nline".encode(encoding)).text.strip() == "Café – “naïve”\nline"


@pytest.mark.parametrize("content", [b"\x00\x01\x02\x03", b"\x81\x8d\x8f", b"\xff\xfe\x00", "text".encode("utf-16-le")])
def test_what_is_no_text_is_unreadable(content: bytes) -> None:
    """Binary junk never becomes a passage."""
    with pytest.raises(UnreadableDocument, match=r"a\.txt is no text"):
        parse("a.txt", content)


@given(st.text(min_size=1))
def test_plain_text_is_kept(text: str) -> None:
    """Sections lie in order, do not overlap, and are what the text says at their offsets."""
    try:
        document = parse("a.txt", text.encode("utf-8", "surrogatepass"))
    except (EmptyDocument, UnreadableDocument):
        return
    outline(document)
    ends = [0, *(section.end for section in document.sections)]
    assert all(end <= section.start for end, section in zip(ends, document.sections, strict=False))


def test_underlined_headings_nest_in_the_order_their_underlines_appear() -> None:
    """The only heading of the outermost level is the title, and in no path."""
    title = 'The "with" statement\n********************\n\nIntro.\n\n'
    text = f"{title}One\n===\n\nFirst.\n\nDeep\n----\n\nDeeper.\n\nTwo\n===\n\nSecond.\n"
    document = parse("with.txt", text.encode())

    assert document.title == 'The "with" statement'
    assert outline(document) == [("", "Intro."), ("One", "First."), ("One > Deep", "Deeper."), ("Two", "Second.")]


def test_several_outermost_headings_leave_the_title_to_the_file() -> None:
    """None of them speaks for the whole."""
    document = parse("notes/all.txt", b"One\n===\n\nFirst.\n\nTwo\n===\n\nSecond.\n")

    assert document.title == "all"
    assert outline(document) == [("One", "First."), ("Two", "Second.")]


def test_overlined_headings() -> None:
    """A line above and one below; not the same level as one with a line below only."""
    document = parse("a.txt", b"=====\nTitle\n=====\n\nIntro.\n\nPart\n====\n\nText.\n")

    assert document.title == "Title"
    assert outline(document) == [("", "Intro."), ("Part", "Text.")]


@pytest.mark.parametrize(
    "text",
    [
        "Text before\nNo title\n--------\nmore",
        "A sentence.\n\n----------\n\nmore", "   Indented\n   --------", "Too long\n---",
        "==\n==",
    ],
)  # fmt: skip
def test_what_only_looks_like_a_heading(text: str) -> None:
    """Rules, tables and paragraphs stay text."""
    assert outline(parse("a.txt", text.encode())) == [("", text)]


def test_the_first_line_keeps_its_indentation() -> None:
    """Code at the beginning of a section is still code."""
    document = parse("a.txt", b"Grammar\n=======\n\n   stmt ::= expr\n   expr ::= NAME\n\nText.\n")

    assert outline(document) == [("", "   stmt ::= expr\n   expr ::= NAME\n\nText.")]


def test_markdown_headings() -> None:
    """Hashes and underlines; emphasis, links and code marks are not part of a heading."""
    first = "# The *Guide*\nIntro.\n\n## Use `it` [now](http://x)\nA\n\n### Deep ###\nB\n\n"
    document = parse("guide.md", f"{first}Two\n---\nC\n\n####### no heading\n".encode())

    assert document.title == "The Guide"
    assert outline(document) == [
        ("", "Intro."),
        ("Use it now", "A"),
        ("Use it now > Deep", "B"),
        ("Two", "C\n\n####### no heading"),
    ]


def test_markdown_code_has_no_headings() -> None:
    """A comment in a fence is no heading, whatever the fence is made of."""
    text = "# T\n\n~~~~sh\n# comment\n~~~\n```\n~~~~\n\n```py\n# comment\n```\n\n# Real\nx\n"

    assert [path for path, _ in outline(parse("a.md", text.encode()))] == ["T", "Real"]


def test_markdown_front_matter_names_the_title() -> None:
    """It is data, not text; and then even the only heading stays a heading."""
    document = parse("a.md", b'---\ntitle: "My title"\ntags: [a]\n---\n# Head\n\nText.\n')

    assert document.title == "My title"
    assert outline(document) == [("Head", "Text.")]


def test_markdown_rules_and_lists_are_no_underlines() -> None:
    """A line of hyphens under a list or after a blank line is a rule."""
    document = parse("a.md", b"Text\n\n---\n\n- item\n---\n\n| a |\n---\n")

    assert [path for path, _ in outline(document)] == [""]


@given(st.text(alphabet="# ab`~-=\n*[]()>", min_size=1))
def test_any_markdown_is_parsed(text: str) -> None:
    """Sections are what the text says at their offsets, in order."""
    try:
        document = parse("a.md", text.encode())
    except EmptyDocument:
        return
    outline(document)
    ends = [0, *(section.end for section in document.sections)]
    assert all(end <= section.start for end, section in zip(ends, document.sections, strict=False))
