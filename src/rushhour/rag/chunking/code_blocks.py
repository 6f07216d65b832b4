"""Where the code blocks of a Markdown text are, fenced and indented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LONGEST: Final = 1_000
"""Characters of a line that may open or close a fence."""
_FENCE: Final = re.compile(r"[ \t]*(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_INDENTS: Final = (" " * 4, "\t")


def code_blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each code block starts and ends, in order; one that is never closed reaches to the end.

    Fences may stand at any indentation, for they do inside lists; an indented block follows a blank line.
    """
    opened = ""  # the fence of the block we are in, or the indentation
    start = end = position = 0
    after_blank = True
    for line in text.splitlines(keepends=True):
        blank = not line.strip()
        fence = _FENCE.match(line.rstrip()) if len(line) < _LONGEST else None
        if opened and opened not in _INDENTS:
            end = position + len(line)
            if fence and fence["fence"].startswith(opened) and not fence["info"]:
                yield start, end
                opened = ""
        else:
            if opened and not blank and not line.startswith(_INDENTS):
                yield start, end
                opened = ""
            if opened:
                end = end if blank else position + len(line)
            elif fence or (after_blank and not blank and line.startswith(_INDENTS)):
                opened = fence["fence"] if fence else _INDENTS[0]
                start, end = position, position + len(line)
        position += len(line)
        after_blank = blank
    if opened:
        yield start, end
