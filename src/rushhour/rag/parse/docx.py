"""Word documents: headings and code by their styles, lists, tables, footnotes; what is struck out stays out."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from rushhour.rag.parse.decode import clean
from rushhour.rag.parse.document import Document
from rushhour.rag.parse.docx_styles import Style, numbered_levels, part_of, styles
from rushhour.rag.parse.package import Package
from rushhour.rag.parse.writer import Writer
from rushhour.rag.parse.xml import attribute, below

_NAMESPACES: Final = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "http://purl.oclc.org/ooxml/wordprocessingml/main}",
)
_UNREAD: Final = frozenset(("moveFrom", "del", "Fallback"))
"""Old places of moved text, deletions, and the second copy of what newer programs draw otherwise."""
_CODE: Final = re.compile(r"code|preformatted|listing", re.IGNORECASE)
_MARKS: Final = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def parse_docx(name: str, content: bytes) -> Document:
    """Parse a .docx of Word or any other program that writes one.

    Raises UnreadableDocument for what is broken, encrypted or no such document.
    """
    package = Package(name, content, ".docx")
    main = part_of(package)
    body = _Body(styles(package, main), numbered_levels(package, main), _notes(package, main))
    package.stream(main, body)
    body.close()
    return body.writer.document(name, clean(body.title or _title(package)))


def _title(package: Package) -> str:
    if not package.has("docProps/core.xml"):
        return ""
    return "".join(one.text or "" for one in below(package.tree("docProps/core.xml"), "title")).strip()


def _notes(package: Package, main: str) -> dict[str, str]:
    part = main.rpartition("/")[0] + "/footnotes.xml"
    if not package.has(part):
        return {}
    return {
        attribute(note.attrib, "id"): " ".join("".join(one.text or "" for one in below(note, "t")).split())
        for note in below(package.tree(part), "footnote")
    }


@dataclass(slots=True)
class _Paragraph:
    parts: list[str] = field(default_factory=list)
    style: Style = field(default_factory=Style)
    level: int = 0
    list_id: str = ""
    indent: int = 0
    notes: list[str] = field(default_factory=list)


class _Body:
    """Receives the main part and writes it paragraph by paragraph; paragraphs of a cell become one text."""

    def __init__(self, known: Mapping[str, Style], numbered: frozenset[tuple[str, int]], notes: dict[str, str]) -> None:
        self.writer = Writer()
        self.title = ""
        self._styles = known
        self._numbered = numbered
        self._notes = notes
        self._open: list[_Paragraph] = []  # several where a text box stands in a paragraph
        self._tables: list[list[list[str]]] = []
        self._unread = 0
        self._reading = False
        self._counts: defaultdict[tuple[str, int], int] = defaultdict(int)
        self._in_list = False
        self._code: list[str] = []

    def start(self, tag: str, attrs: dict[str, str]) -> None:
        """See `Target`."""
        name = _name(tag)
        if self._unread or name in _UNREAD:
            self._unread += 1
        elif name == "t":
            self._reading = True
        elif name == "p":
            self._open.append(_Paragraph())
        elif name in ("tbl", "tr", "tc"):
            self._begin_table(name)
        elif self._open:
            self._describe(self._open[-1], name, attrs)

    def end(self, tag: str) -> None:
        """See `Target`."""
        if self._unread:
            self._unread -= 1
            return
        name = _name(tag)
        if name == "t":
            self._reading = False
        elif name == "p" and self._open:
            self._finish(self._open.pop())
        elif name == "tbl" and self._tables:
            self._end_table(self._tables.pop())

    def data(self, data: str) -> None:
        """See `Target`."""
        if self._reading and self._open and not self._unread:
            self._open[-1].parts.append(data)

    def close(self) -> None:
        """Write what waits for its end."""
        self.writer.code("\n".join(self._code))
        self._code.clear()

    def _describe(self, paragraph: _Paragraph, name: str, attrs: dict[str, str]) -> None:
        if name in _MARKS:
            paragraph.parts.append(_MARKS[name])
            return
        value = attribute(attrs, "val")
        if name == "pStyle":
            paragraph.style = self._styles.get(value, paragraph.style)
            paragraph.level = paragraph.level or paragraph.style.level
            paragraph.list_id = paragraph.list_id or paragraph.style.list_id
        elif name == "numId":
            paragraph.list_id = value if value != "0" else ""
        elif name == "ilvl":
            paragraph.indent = min(int(value), 8) if value.isdecimal() else 0
        elif name == "outlineLvl" and value in tuple("012345678"):
            paragraph.level = int(value) + 1
        elif name == "footnoteReference":
            paragraph.notes.append(self._notes.get(attribute(attrs, "id"), ""))

    def _finish(self, paragraph: _Paragraph) -> None:
        text = clean("".join(paragraph.parts)).strip("\n")
        if self._tables:
            self._into_cell(text)
            return
        if _CODE.search(paragraph.style.name) and not paragraph.level:
            self._code.append(text)
            return
        self.close()
        if paragraph.level:
            self.writer.heading(text, paragraph.level)
        elif paragraph.style.name.lower() == "title" and not self.title and text.strip():
            self.title = text
        elif paragraph.list_id and text.strip():
            self._item(paragraph, text.strip())
        else:
            self.writer.block(text.strip())
        self._in_list = bool(paragraph.list_id) and not paragraph.level
        for note in paragraph.notes:
            self.writer.block(f"[Note: {note}]" if note else "")

    def _item(self, paragraph: _Paragraph, text: str) -> None:
        here = (paragraph.list_id, paragraph.indent)
        self._counts[here] += 1
        for deeper in [one for one in self._counts if one[0] == here[0] and one[1] > here[1]]:
            del self._counts[deeper]
        mark = f"{self._counts[here]}." if here in self._numbered else "-"
        item = f"{'  ' * paragraph.indent}{mark} {text}"
        (self.writer.line if self._in_list else self.writer.block)(item)

    def _begin_table(self, name: str) -> None:
        if name == "tbl":
            self.close()
            self._tables.append([])
        elif name == "tr" and self._tables:
            self._tables[-1].append([])
        elif name == "tc" and self._tables and self._tables[-1]:
            self._tables[-1][-1].append("")

    def _into_cell(self, text: str) -> None:
        rows = self._tables[-1]
        if rows and rows[-1]:
            rows[-1][-1] = f"{rows[-1][-1]} {text}".strip()

    def _end_table(self, rows: list[list[str]]) -> None:
        self._in_list = False
        if self._tables:  # a table in a cell
            self._into_cell("; ".join(", ".join(cell for cell in row if cell) for row in rows))
        elif any(any(row) for row in rows):
            self.writer.table([row for row in rows if row])


def _name(tag: str) -> str:
    """Return the name of a word-processing element, and of the one other that matters; "" for all else."""
    for namespace in _NAMESPACES:
        if tag.startswith(namespace):
            return tag[len(namespace) :]
    return "Fallback" if tag.endswith("}Fallback") else ""
