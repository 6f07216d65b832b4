"""Filters as people type them: `page>=3`, `file=manual.pdf`, `lang=en|de`, or OpenAI's shape as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from rushhour.errors import InvalidRequest
from rushhour.rag.retrieval.filters import Filter, joined, read_filter, shown
from rushhour.rag.scalar import scalar, unquoted

_COMPARISON: Final = re.compile(r"\s*([^<>=!\s][^<>=!]*?)\s*(>=|<=|!=|=|>|<)\s*(.*?)\s*", re.DOTALL)
_SIGNS: Final = {"=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_LISTS: Final = {"eq": "in", "ne": "nin"}
_TEXTS: Final = ("file", "title", "source", "heading")
"""Keys whose values are text, even where they look like a number."""


def parse_filters(texts: Sequence[str], param: str = "--filter") -> Filter | None:
    """Read filters all of which must hold; None for none. Raises InvalidRequest that shows how one is written.

    `=` and `!=` take several values with `|` between them. What looks like a number or a truth value is one, unless it
    stands in double quotes.
    """
    if len(texts) < 2:
        return _parse(texts[0], param) if texts else None
    return joined("and", (_parse(text, param) for text in texts), param)


def _parse(text: str, param: str) -> Filter:
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as cause:  # a number of thousands of digits is a ValueError, too
            raise InvalidRequest(f"{param} {shown(text)} is not valid JSON ({cause}).", param=param) from None
    else:
        given = _spelled_out(text, param)
    return read_filter(given, param)


def _spelled_out(text: str, param: str) -> dict[str, Any]:
    found = _COMPARISON.fullmatch(text)
    if found is None or not found[3]:
        raise InvalidRequest(
            f"{param} {shown(text)} compares nothing; write it like page>=3, file=manual.pdf, lang=en|de, or as JSON: "
            '{"type": "gte", "key": "page", "value": 3}.',
            param=param,
        )
    key, kind = found[1], _SIGNS[found[2]]
    values = [_value(key, one, param) for one in found[3].split("|")]
    if len(values) > 1 and kind in _LISTS:
        return {"type": _LISTS[kind], "key": key, "value": values}
    return {"type": kind, "key": key, "value": values[0] if len(values) == 1 else found[3]}


def _value(key: str, text: str, param: str) -> Any:
    return unquoted(text) if key in _TEXTS else scalar(text, f"{param} compares {key!r}", param)
