"""E-books: reading order, headings, names from the table of contents, protection."""

import io
import zipfile

import pytest

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse import parse

CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
BOOK = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The Book</dc:title></metadata><manifest>
<item id="two" href="text/two%20.xhtml" media-type="application/xhtml+xml"/>
<item id="one" href="text/one.xhtml" media-type="application/xhtml+xml"/>
<item id="lost" href="text/lost.xhtml" media-type="application/xhtml+xml"/>
<item id="pic" href="pic.png" media-type="image/png"/>
{contents}</manifest><spine><itemref idref="nav"/><itemref idref="one"/><itemref idref="pic"/><itemref idref="lost"/>
<itemref idref="two"/><itemref idref="one"/></spine></package>"""
NAV = '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
NCX = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
ONE = "<html><body><h1>First</h1><p>Intro.</p><h2>Deep</h2><ul><li>x</li></ul></body></html>"
TWO = "<html><head><title>t</title></head><body><p>Caf\u00e9 &amp; more.</p></body></html>"
NAV_PAGE = '<html xmlns="http://www.w3.org/1999/xhtml"><a href="text/two%20.xhtml">Second <b>one</b></a></html>'
NCX_PAGE = (
    '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd"><ncx><navMap>'
    "<navPoint><navLabel><text>Second one</text></navLabel>"
    '<content src="text/two%20.xhtml#x"/></navPoint></navMap></ncx>'
)


def epub(contents: str = NAV, **more: str) -> bytes:
    """Write a book of two chapters, and other parts by their names."""
    parts = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": BOOK.format(contents=contents),
        "OEBPS/text/one.xhtml": ONE,
        "OEBPS/text/two .xhtml": TWO,
        "OEBPS/nav.xhtml": NAV_PAGE,
        "OEBPS/toc.ncx": NCX_PAGE,
        **more,
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            if content:
                archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("contents", [NAV, NCX], ids=["EPUB 3", "EPUB 2"])
def test_chapters_in_reading_order_under_their_headings(contents: str) -> None:
    """A chapter without headings has its name in the table of contents, which is no chapter; none comes twice."""
    document = parse("a.epub", epub(contents))

    assert (document.title, document.markup) == ("The Book", "markdown")
    assert [(section.heading_path, section.text) for section in document.sections] == [
        ("First", "Intro."),
        ("First > Deep", "- x"),
        ("Second one", "Caf\u00e9 & more."),
    ]
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text


def locked(part: str) -> dict[str, str]:
    """Say that a part is encrypted."""
    return {"META-INF/encryption.xml": f'<e><CipherData><CipherReference URI="{part}"/></CipherData></e>'}


def test_scrambled_fonts_are_no_protection() -> None:
    """Many free books have them."""
    assert parse("a.epub", epub(**locked("OEBPS/font.otf"))).title == "The Book"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (epub(**locked("OEBPS/text/one.xhtml")), "is encrypted"),
        (epub(**{"META-INF/container.xml": ""}), "its part META-INF/container.xml is missing"),
        (epub(**{"META-INF/container.xml": "<a/>"}), "names no contents"),
        (epub(**{"OEBPS/book.opf": "<a>"}), "XML cannot be read"),
        (epub(**{"OEBPS/text/one.xhtml": "<div>" * 200_000 + "x"}), "(nests its tags deeper|zip bomb)"),
        (b"PK\x03\x04", "no zip file"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, reason: str) -> None:
    """Naming the book, and the part where there is one."""
    with pytest.raises(UnreadableDocument, match=rf"a\.epub.*{reason}"):
        parse("a.epub", content)
