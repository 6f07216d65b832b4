"""Which files of a folder are passed over: patterns as in a .gitignore."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

DEFAULT: Final = (
    ".*",
    "node_modules/",
    "__pycache__/",
    "__MACOSX/",
    "site-packages/",
    "venv/",
    "*.egg-info/",
    "*.py[cod]",
    "*.min.js",
    "*.min.css",
    "package-lock.json",
    "Thumbs.db",
)
"""Hidden files, what tools put there, and what nobody wrote."""


class Ignored:
    """Tells which paths are passed over; of several patterns that fit, the last one decides.

    As in a .gitignore: `*`, `?` and `[…]` stay within a name, `**` spans folders, a slash at the end means folders
    only, one elsewhere means from the top, `!` takes a path back in (unless a folder above it is passed over).
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._rules = tuple(_rule(pattern) for pattern in (*DEFAULT, *patterns) if pattern.strip())

    def __call__(self, path: str, *, folder: bool = False) -> bool:
        """Whether a path below the top, with forward slashes, is passed over itself."""
        ignored = False
        for expression, only_folders, takes_back in self._rules:
            if ignored == takes_back and (folder or not only_folders) and expression.fullmatch(path):
                ignored = not takes_back
        return ignored

    def whole(self, path: str) -> bool:
        """Whether a file is passed over, or any folder above it."""
        ends = [at for at, character in enumerate(path) if character == "/"]
        return any(self(path[:end], folder=True) for end in ends) or self(path)


@lru_cache(maxsize=1_000)
def _rule(pattern: str) -> tuple[re.Pattern[str], bool, bool]:
    takes_back = pattern.startswith("!")
    body = pattern[1:] if takes_back else pattern
    only_folders = body.endswith("/")
    body = body.rstrip("/")
    anywhere = "/" not in body
    expression = ("(?:.*/)?" if anywhere else "") + _expression(body.lstrip("/"))
    return re.compile(expression, re.DOTALL), only_folders, takes_back


def _expression(body: str) -> str:
    """Translate a pattern; an unclosed bracket stands for itself."""
    made, at = "", 0
    while at < len(body):
        if body.startswith("**/", at):
            made, at = made + "(?:[^/]+/)*", at + 3
        elif body.startswith("**", at):
            made, at = made + ".*", at + 2
        elif body[at] == "[" and (end := body.find("]", at + 2)) > 0 and (one := _class(body[at + 1 : end])):
            made, at = made + one, end + 1
        else:
            made, at = made + {"*": "[^/]*", "?": "[^/]"}.get(body[at], re.escape(body[at])), at + 1
    return made


def _class(inner: str) -> str:
    """Translate what stands in brackets, "" if it is no set of characters; none of them fits a slash."""
    negated = inner[0] in "!^"
    escaped = re.sub(r"[\[\\&~|^]|-(?=-)", r"\\\g<0>", inner[1:] if negated else inner)
    made = f"(?!/)[{'^' if negated else ''}{escaped}]"
    try:
        re.compile(made)
    except re.error:  # a range that runs backwards
        return ""
    return made
