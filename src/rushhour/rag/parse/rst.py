"""reStructuredText as Markdown: headings, code blocks and lists stay, what only steers the typesetting goes."""

from __future__ import annotations

import re
import textwrap
from typing import Final

from rushhour.rag.parse.decode import decode
from rushhour.rag.parse.document import Document
from rushhour.rag.parse.writer import Writer

MAX_DEPTH: Final = 20
"""Directives within directives; what is deeper stays as it is written."""
_LONGEST_HEADING: Final = 500
_ADORNMENT: Final = re.compile(r"([!-/:-@\[-`{-~])\1{1,}\s*$")
_DIRECTIVE: Final = re.compile(r"\.\. +(?P<name>[A-Za-z][\w:+.-]*?)::(?: +(?P<argument>.*))?$")
_COMMENT: Final = re.compile(r"\.\.(?:$| +(?!\[))")  # `.. [1] text` is a footnote, and text
_OPTION: Final = re.compile(r"\s*:[\w-]+:(?:\s|$)")
_CODE: Final = frozenset(("code", "code-block", "sourcecode", "parsed-literal", "highlight", "doctest", "testcode"))
_SILENT: Final = frozenset(
    """
    image toctree contents index meta raw default-role role include highlight currentmodule module tabularcolumns
    sectnum header footer only-html unicode date container-style testsetup testcleanup
    """.split()  # noqa: SIM905  # as a list it would be 20 lines
)
_ADMONITIONS: Final = frozenset(
    ("attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning", "seealso", "todo")
)
_INLINE: Final = re.compile(
    r"``(?P<literal>[^`\n]{1,1000})``"
    r"|(?::[\w:+.-]{1,60}:)?`[~!]?(?P<text>[^`<\n]{1,1000}?)(?:\s*<[^>`\n]{1,1000}>)?`(?:__?)?"
)


def parse_rst(name: str, content: bytes) -> Document:
    """Parse reStructuredText; the levels of headings follow the order in which adornments first appear (docutils)."""
    writer = Writer()
    _Body(writer).write(decode(name, content).expandtabs(8).split("\n"), 0)
    return writer.document(name)


class _Body:
    """Writes lines block by block."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._levels: dict[str, int] = {}

    def write(self, lines: list[str], depth: int) -> None:
        """Write these lines, which begin at the margin."""
        at = 0
        while at < len(lines):
            if not lines[at].strip():
                at += 1
            elif depth == 0 and (end := self._heading(lines, at)):
                at = end
            elif depth < MAX_DEPTH and lines[at].startswith(".."):
                at = self._explicit(lines, at, depth)
            else:
                at = self._paragraph(lines, at)

    def _heading(self, lines: list[str], at: int) -> int:
        """Write a heading that begins here and return where it ends, 0 if there is none."""
        over = _ADORNMENT.match(lines[at])
        below = at + 2 if over else at + 1
        if below >= len(lines):
            return 0
        title, under = lines[below - 1].strip(), _ADORNMENT.match(lines[below])
        if under is None or not title or _ADORNMENT.match(title) or len(title) > _LONGEST_HEADING:
            return 0
        if (over and over[1] != under[1]) or (not over and lines[at][0] == " "):
            return 0
        if len(lines[below].rstrip()) < min(len(title), 4):
            return 0
        kind = f"{'over' if over else ''}{under[1]}"
        self._writer.heading(_plain(title), self._levels.setdefault(kind, len(self._levels) + 1))
        return below + 1

    def _explicit(self, lines: list[str], at: int, depth: int) -> int:
        """Write what a directive holds and return where it ends; comments and link targets hold nothing."""
        directive = _DIRECTIVE.match(lines[at])
        if directive is None:
            if _COMMENT.match(lines[at]):
                return _end_of_body(lines, at)[0]
            return self._paragraph(lines, at)
        end, body = _end_of_body(lines, at)
        kind = directive["name"].rpartition(":")[2].lower()
        argument = (directive["argument"] or "").strip()
        if kind in _CODE:
            self._writer.code("\n".join(_without_options(body)), argument.split(" ")[0])
        elif kind in _ADMONITIONS:
            self.write([f"{kind.capitalize()}: {argument}", *body], depth + 1)
        elif kind not in _SILENT:
            self._writer.block(_label(kind, argument))
            self.write(_without_options(body), depth + 1)
        return end

    def _paragraph(self, lines: list[str], at: int) -> int:
        """Write lines up to the next blank one, and the code block that `::` announces."""
        end = at + 1
        while end < len(lines) and lines[end].strip():
            end += 1
        text = "\n".join(lines[at:end]).rstrip()
        announces = text.endswith("::")
        if announces:
            text = text[:-2].rstrip() if text.endswith(" ::") or text == "::" else text[:-1]
        self._writer.block(_plain(text))
        if not announces:
            return end
        margin = len(lines[end - 1]) - len(lines[end - 1].lstrip())
        end, body = _end_of_body(lines, end - 1, margin)
        self._writer.code("\n".join(body))
        return end


def _end_of_body(lines: list[str], at: int, margin: int = 0) -> tuple[int, list[str]]:
    """Return where the lines indented under this one end, and these lines at the margin."""
    end = last = at + 1
    while end < len(lines) and (not lines[end].strip() or lines[end][: margin + 1].isspace()):
        end += 1
        if lines[end - 1].strip():
            last = end
    return last, textwrap.dedent("\n".join(lines[at + 1 : last])).split("\n")


def _without_options(body: list[str]) -> list[str]:
    start = 0
    while start < len(body) and _OPTION.match(body[start]):
        start += 1
    return body[start:]


def _label(kind: str, argument: str) -> str:
    """Return what a reader sees where a directive begins, as the signature of what is described."""
    if kind.startswith("version") or kind == "deprecated":
        return f"{kind} {_plain(argument)}"
    if kind == "figure":
        return ""
    return _plain(argument)


def _plain(text: str) -> str:
    """Return text with literals as Markdown has them, and roles and links as what a reader sees of them."""
    return _INLINE.sub(lambda found: f"`{found['literal']}`" if found["literal"] else found["text"].strip(), text)
