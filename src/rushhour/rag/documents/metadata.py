"""What people say of documents themselves, for filters: `team=billing`, `year=2026`, `draft=false`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from rushhour.errors import InvalidRequest
from rushhour.rag.scalar import Scalar, scalar

Metadata: TypeAlias = tuple[tuple[str, Scalar], ...]
"""Keys and values, by key: equal metadata are equal however they were given."""

KNOWN: Final = ("file", "title", "source", "heading", "page")
"""Keys that every passage has anyway."""
MOST: Final = 32
LONGEST: Final = 500
"""Characters of a key or a value: more is a text to be searched rather than a label."""

_WRITTEN: Final = re.compile(r"\s*([^<>=!|\s$][^<>=!|]*?)\s*=\s*(\S.*?)\s*", re.DOTALL)


def read_metadata(texts: Iterable[str], param: str = "--metadata") -> Metadata:
    """Read `KEY=VALUE`s; what looks like a number or a truth value is one, unless it stands in double quotes.

    Raises InvalidRequest for what is none, a key that is given twice or known already, and for too many or too long.
    """
    read: dict[str, Scalar] = {}
    for text in texts:
        if any("\ud800" <= letter <= "\udfff" for letter in text):  # what stands for bytes that are no UTF-8
            raise InvalidRequest(f"{param} {text[:80]!r} is no UTF-8; nobody could filter by it.", param=param)
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise InvalidRequest(f"{param} {text[:80]!r} is no KEY=VALUE; write it like team=billing.", param=param)
        key = found[1]
        if key in KNOWN:
            known = f"{', '.join(KNOWN[:-1])} and {KNOWN[-1]}"
            raise InvalidRequest(f"{param} sets {key!r}, which documents have anyway, as {known}.", param=param)
        if key in read:
            raise InvalidRequest(f"{param} sets {key!r} twice; a document has one value for a key.", param=param)
        if max(len(key), len(found[2])) > LONGEST:
            raise InvalidRequest(f"{param} {text[:80]!r}… is longer than {LONGEST} characters.", param=param)
        read[key] = scalar(found[2], f"{param} {key!r}", param)
    if len(read) > MOST:
        raise InvalidRequest(f"{param} is given {len(read)} times; {MOST} keys are the most.", param=param)
    return tuple(sorted(read.items()))
