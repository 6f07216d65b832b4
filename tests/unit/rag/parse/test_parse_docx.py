"""Word documents: structure from styles, and packages that are broken, locked or made to harm."""

import io
import zipfile
from collections.abc import Mapping

import pytest

from rushhour.errors import EmptyDocument, UnreadableDocument
from rushhour.rag.parse import Document, parse

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STYLES = f"""<w:styles xmlns:w="{W}">
<w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
<w:style w:type="paragraph" w:styleId="Mine"><w:name w:val="My heading"/><w:basedOn w:val="Loop"/>
  <w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Mine"/></w:style>
<w:style w:type="paragraph" w:styleId="Sub"><w:name w:val="Sub"/><w:basedOn w:val="berschrift1"/></w:style>
<w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
<w:style w:type="paragraph" w:styleId="Quelltext"><w:name w:val="Source Code"/></w:style>
<w:style w:type="paragraph" w:styleId="Dots"><w:name w:val="List Bullet"/>
  <w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style></w:styles>"""
NUMBERING = f"""<w:numbering xmlns:w="{W}">
<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>
<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>
</w:numbering>"""
NOTES = f'<w:footnotes xmlns:w="{W}"><w:footnote w:id="2"><w:t>See page 3.</w:t></w:footnote></w:footnotes>'
CORE = '<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Core title</dc:title></c>'


def p(text: str, style: str = "", inside: str = "", number: str = "", level: int = 0) -> str:
    """Write a paragraph."""
    shape = f'<w:pStyle w:val="{style}"/>' if style else ""
    if number:
        shape += f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    return f"<w:p><w:pPr>{shape}</w:pPr><w:r><w:t>{text}</w:t></w:r>{inside}</w:p>"


def table(*rows: tuple[str, ...]) -> str:
    """Write a table."""
    shown = ("".join(f"<w:tc>{p(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in shown)}</w:tbl>"


def docx(*body: str, **more: str) -> bytes:
    """Write a .docx with these paragraphs and tables, and other parts by their names."""
    shell = f'<w:document xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
    parts = {"word/document.xml": f"{shell}<w:body>{''.join(body)}</w:body></w:document>"}
    names = {"styles": "word/styles.xml", "numbering": "word/numbering.xml", "notes": "word/footnotes.xml"}
    return packed({**parts, **{names.get(key, key): value for key, value in more.items()}})


def packed(parts: Mapping[str, str | bytes]) -> bytes:
    """Write a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def outline(document: Document) -> list[tuple[str, str]]:
    """Return each section's heading path and text, having checked the offsets."""
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text
    return [(section.heading_path, section.text) for section in document.sections]


def test_styles_make_headings_whatever_they_are_called() -> None:
    """By their built-in name, their outline level, or what they are based on, even in circles."""
    document = parse(
        "a.docx",
        docx(
            p("The title", "Titel"),
            p("Intro."),
            p("One", "berschrift1"),
            p("First."),
            p("Deep", "Mine"),
            p("Second."),
            p("Two", "Sub"),
            p("Third."),
            styles=STYLES,
        ),
    )

    assert (document.title, document.markup) == ("The title", "markdown")
    assert outline(document) == [("", "Intro."), ("One", "First."), ("One > Deep", "Second."), ("Two", "Third.")]


def test_lists_tables_code_and_notes_keep_their_shape() -> None:
    """As Markdown; numbers count, per list and level."""
    document = parse(
        "a.docx",
        docx(
            p("a", "Dots"),
            p("b", "Dots"),
            p("Text", inside='<w:r><w:footnoteReference w:id="2"/></w:r>'),
            p("one", number="2"),
            p("inner", number="2", level=1),
            p("two", number="2"),
            table(("k", "v|w"), ("x", "")),
            p("def f():", "Quelltext"),
            p("    return 1", "Quelltext"),
            p("End"),
            styles=STYLES,
            numbering=NUMBERING,
            notes=NOTES,
        ),
    )

    assert document.text == (
        "- a\n- b\n\nText\n\n[Note: See page 3.]\n\n1. one\n  - inner\n2. two\n\n"
        "| k | v/w |\n| --- | --- |\n| x |  |\n\n"
        "```\ndef f():\n    return 1\n```\n\nEnd"
    )


def test_what_is_struck_out_stays_out() -> None:
    """Deleted and moved text, field codes, and the second copy of a drawing; line breaks and tabs are kept."""
    document = parse(
        "a.docx",
        docx(
            "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>"
            "<w:del><w:r><w:t>deleted</w:t><w:delText>deleted</w:delText></w:r></w:del>"
            "<w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom><w:ins><w:r><w:t>d</w:t></w:r></w:ins>"
            "<w:r><w:instrText>HYPERLINK</w:instrText></w:r>"
            "<mc:AlternateContent><mc:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Choice>"
            "<mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:p>"
        ),
    )

    assert document.text == "box\n\na\tb\ncd"


@pytest.mark.parametrize(("core", "title"), [({}, "a"), ({"docProps/core.xml": CORE}, "Core title")])
def test_titles(core: dict[str, str], title: str) -> None:
    """Without a paragraph that is the title, the properties or the file have to do."""
    assert parse("x/a.docx", docx(p("Text"), **core)).title == title


def test_the_main_part_may_have_another_name() -> None:
    """The relations say which it is."""
    relations = '<R><Relationship Type="http://x/officeDocument" Target="/word/document2.xml"/></R>'
    body = f'<w:document xmlns:w="{W}"><w:body>{p("Text")}</w:body></w:document>'

    assert parse("a.docx", packed({"_rels/.rels": relations, "word/document2.xml": body})).text == "Text"


BOMB = f'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><w:document xmlns:w="{W}">&b;</w:document>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip", "no zip file, or a broken one"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 600, "encrypted, or in the format of before 2007"),
        (packed({"a.txt": "x"}), "no .docx document: it names no main part"),
        (docx(p("x"))[:-30], "no zip file, or a broken one"),
        (packed({"word/document.xml": "<a><b></a>"}), "XML cannot be read"),
        (packed({"word/document.xml": '<?xml version="1.0" encoding="klingon"?><a/>'}), "XML"),
        (packed({"word/document.xml": BOMB}), "declares XML entities of its own"),
        (packed({"word/document.xml": "<a>" * 100_000}), "nests its XML deeper than 500"),
        (packed({"word/document.xml": b" " * 30_000_000}), "looks like a zip bomb"),
        (
            packed({"word/document.xml": "<a/>", "word/styles.xml": b"\0" + bytes(range(256)) * 40_000}),
            "MB are allowed",
        ),
    ],
)
def test_what_is_no_document_or_made_to_harm(content: bytes, reason: str) -> None:
    """A clear error that names the file, and no memory spent."""
    with pytest.raises(UnreadableDocument, match=rf"a\.docx.*{reason}"):
        parse("a.docx", content)


def test_a_document_without_text_is_empty() -> None:
    """As with every format."""
    with pytest.raises(EmptyDocument):
        parse("a.docx", docx(p("")))
