"""PDF: pages, titles, and files that are broken, encrypted or pictures."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from rushhour.errors import EmptyDocument, UnreadableDocument
from rushhour.rag.parse import parse


def pdf(*pages: list[str], title: str = "", encrypt: bool = False) -> bytes:
    """Write a PDF with these lines on its pages, in Helvetica, as simply as the format allows."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, lines in enumerate(pages):
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
        content = f"BT /F1 12 Tf 50 750 Td {shown}ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    trailer = f"/Root 1 0 R /Info {len(objects)} 0 R /Size {len(objects) + 1}"
    if encrypt:
        key = "00" * 32
        objects.append(f"<< /Filter /Standard /V 1 /R 2 /O <{key}> /U <{key}> /P -4 >>")
        trailer += f" /Encrypt {len(objects)} 0 R /ID [<00> <00>]"
    body, offsets = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    xref = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return body + f"{xref}trailer\n<< {trailer} >>\nstartxref\n{len(body)}\n%%EOF".encode()


def test_pages_become_sections_with_their_numbers() -> None:
    """Blank pages are passed over, but count."""
    document = parse("a.pdf", pdf(["First page."], [], ["Third page."], title="My title"))

    assert document.title == "My title"
    assert [(section.page, section.text) for section in document.sections] == [(1, "First page."), (3, "Third page.")]
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text


def test_lines_broken_by_the_pages_width_are_joined() -> None:
    """A paragraph is one line again; short lines and finished sentences end theirs."""
    lines = [
        "Heading",
        "This long line goes on and on until",
        "it reaches the margin, and here ends.",
        "A new paragraph.",
    ]

    assert parse("a.pdf", pdf(lines)).text == (
        "Heading\nThis long line goes on and on until it reaches the margin, and here ends.\nA new paragraph."
    )


def test_without_a_title_the_file_has_to_do() -> None:
    """As with every format."""
    assert parse("deep/paper.PDF", pdf(["Text."])).title == "paper"


@pytest.mark.parametrize("content", [b"not a pdf", b"%PDF-1.4\n%%EOF", pdf(["Text."])[:60]])
def test_a_broken_pdf_is_unreadable(content: bytes) -> None:
    """The message names the file and what to do."""
    with pytest.raises(UnreadableDocument, match=r"a\.pdf is no PDF, or a broken one"):
        parse("a.pdf", content)


def test_an_encrypted_pdf_says_so() -> None:
    """It is not broken; it wants a password."""
    with pytest.raises(UnreadableDocument, match=r"a\.pdf is encrypted"):
        parse("a.pdf", pdf(["Secret."], encrypt=True))


def test_a_pdf_without_text_is_empty() -> None:
    """As scans are."""
    with pytest.raises(EmptyDocument, match=r"a\.pdf holds no text.*scanned"):
        parse("a.pdf", pdf([], []))


def test_many_threads_may_parse_at_once() -> None:
    """The library under it allows one at a time; whoever calls need not know."""
    contents = [pdf([f"Document {number}."] * 20, title=f"T{number}") for number in range(24)]

    with ThreadPoolExecutor(8) as threads:
        documents = list(threads.map(lambda content: parse("a.pdf", content), contents))

    assert [document.title for document in documents] == [f"T{number}" for number in range(24)]
