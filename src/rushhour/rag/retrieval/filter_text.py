"""Filters as people type them: `page>=3`, `file=manual.pdf`, `lang=en|de`, or OpenAI's shape as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from rushhour.errors import InvalidRequest
from rushhour.rag.retrieval.filters import Compound, Filter, read_filter

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
    filters = [_parse(text, param) for text in texts]
    if not filters:
        return None
    return filters[0] if len(filters) == 1 else Compound("and", tuple(filters))


def _parse(text: str, param: str) -> Filter:
    if text.lstrip().startswith("{"):
        try:
            given = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as cause:
            raise InvalidRequest(f"{param} {text!r} is not valid JSON ({cause}).", param=param) from None
    else:
        given = _spelled_out(text, param)
    return read_filter(given, param)


def _spelled_out(text: str, param: str) -> dict[str, Any]:
    found = _COMPARISON.fullmatch(text)
    if found is None or not found[3]:
        raise InvalidRequest(
            f"{param} {text!r} compares nothing; write it like page>=3, file=manual.pdf, lang=en|de, or as JSON: "
            '{"type": "gte", "key": "page", "value": 3}.',
            param=param,
        )
    key, kind = found[1], _SIGNS[found[2]]
    values = [_value(key, one) for one in found[3].split("|")]
    if len(values) > 1 and kind in _LISTS:
        return {"type": _LISTS[kind], "key": key, "value": values}
    return {"type": kind, "key": key, "value": values[0] if len(values) == 1 else found[3]}


def _value(key: str, text: str) -> Any:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if key in _TEXTS:
        return text
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, bool | int | float) else text
