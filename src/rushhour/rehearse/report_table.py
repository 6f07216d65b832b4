"""Tables of the report: a column a thing compared, a row a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TypeAlias, TypeVar

T = TypeVar("T")
Row: TypeAlias = tuple[str, Callable[[T], str], bool]
"""A label, how the figure is written, and whether the row stands out."""


def table(columns: Sequence[T], rows: Sequence[Row[T]], name: Callable[[T], str]) -> str:
    """Return a table of figures; the columns' names are also the classes that colour them."""
    head = "".join(f'<th scope="col" class="{escape(name(column))}">{escape(name(column))}</th>' for column in columns)
    body = "".join(
        f"<tr{' class=strong' if strong else ''}><td>{escape(label)}</td>"
        f"{''.join(f'<td>{escape(value(column))}</td>' for column in columns)}</tr>"
        for label, value, strong in rows
    )
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
