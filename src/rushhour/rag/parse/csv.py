"""Tables as text: each row becomes a line that says what each of its cells is, so that any row can be cited alone."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse.decode import decode
from rushhour.rag.parse.document import Document, sections_between, titled

_DELIMITERS: Final = ",;\t|"
_SAMPLE_ROWS: Final = 30
_SAMPLE: Final = 65_536
_NUMBER: Final = re.compile(r"[-+]?[\d.,\s]*\d[\d.,]*\s*%?")


def parse_csv(name: str, content: bytes) -> Document:
    """Parse a table separated by commas, semicolons, tabs or bars: `name: Ann; city: Oslo`, one line a row.

    The first row names the columns unless it holds numbers, gaps or the same name twice. Rows may end early. Raises
    UnreadableDocument for a row with more cells than columns (nobody can say which belongs where) and for quotes
    that never end.
    """
    text = decode(name, content)
    rows = _rows(name, text, _delimiter(text))
    first = next(rows, (0, []))
    header = first[1] if _names_columns(first[1]) else []
    width = len(first[1])
    lines = [] if header else [_line([], first[1])]
    for number, row in rows:
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            raise UnreadableDocument(
                f"{name}: the row that ends in line {number} has {len(row)} cells, but the first row has {width}. "
                "Put cells that contain the separator in quotes."
            )
        if line := _line(header, row):
            lines.append(line)
    shown = "\n".join(lines)
    title, _ = titled((), name)
    return Document(title, shown, tuple(sections_between(shown, ())))


def _rows(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with the number of its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield reader.line_num, row
    except csv.Error as cause:
        raise UnreadableDocument(f"{name}: line {reader.line_num} is no row of a table ({cause}).") from cause


def _delimiter(text: str) -> str:
    """Return what separates most cells while all rows of the beginning are of one length, the comma in doubt."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample

    def evidence(delimiter: str) -> tuple[bool, int]:
        widths = []
        try:
            for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
                widths += [len(row)] if row else []
                if len(widths) == _SAMPLE_ROWS:
                    break
        except csv.Error:
            return False, 0
        return len(set(widths)) == 1 and widths[0] > 1, max(widths, default=0)

    return max(_DELIMITERS, key=evidence)  # the first of equals


def _names_columns(row: list[str]) -> bool:
    names = [cell.strip() for cell in row]
    return (
        all(names[1:])  # an index often has no name
        and len(set(names)) == len(names)
        and not any(_NUMBER.fullmatch(name) for name in names)
    )


def _line(header: list[str], row: list[str]) -> str:
    cells = [" ".join(cell.split()) for cell in row]
    if not header:
        return "; ".join(cell for cell in cells if cell)
    labels = [" ".join(label.split()) for label in header]
    shown = (f"{label}: {cell}" if label else cell for label, cell in zip(labels, cells, strict=False) if cell)
    return "; ".join(shown)
