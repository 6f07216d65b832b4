"""HTML: the main content, without navigation and decoration, as light Markdown with its headings."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse.decode import clean, decode
from rushhour.rag.parse.document import Document, Heading, sections_between, titled

MAX_DEPTH: Final = 2_000
"""Nesting of tags; a browser stops at 512, and time grows with depth."""

# The library's own search for the main content drops bulleted lists wholesale, which documentation is full of; so
# the page's own marks decide what is content, and what is decoration goes by the names that templates give it.
_MAIN: Final = ("main", "[role=main]", "article")
_DECORATION: Final = tuple(
    """
    nav aside footer template [role=navigation] [role=search] [role=banner] [role=contentinfo] [aria-hidden=true]
    .nav .navbar .navigation .menu .sidebar .breadcrumb .breadcrumbs .footer .site-header .site-footer .toc
    .skip-link .headerlink .cookie-banner .related .share #navbar #sidebar #footer #menu #cookie-banner
    """.split()  # noqa: SIM905  # as a list it would be 30 lines
)
_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*(?P<name>[\w.:-]+)", re.IGNORECASE)
_TAG: Final = re.compile(r"<(?P<closing>/)?(?P<name>[a-zA-Z][a-zA-Z0-9-]*)[^<>]*?(?P<alone>/)?>")
_VOID: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)
_UNCLOSED: Final = frozenset(("p", "li", "dt", "dd", "td", "th", "tr", "option", "tbody", "thead"))


@dataclass(frozen=True, slots=True)
class Page:
    """A page's content as light Markdown, its headings, and the title of its head."""

    title: str
    text: str
    headings: tuple[Heading, ...]


def parse_html(name: str, content: bytes) -> Document:
    """Parse a page: `<h1>` to `<h6>` become headings, lists and code keep their shape.

    Raises UnreadableDocument for one that nests deeper than `MAX_DEPTH`.
    """
    found = page(name, content)
    title, headings = titled(found.headings, name)
    if headings is found.headings:  # none of them is the document's title
        title = found.title or title
    return Document(title, found.text, tuple(sections_between(found.text, headings)), "markdown")


def page(name: str, content: bytes) -> Page:
    """Read a page, as one document or one chapter of many; raises as `parse_html` does."""
    source = _decoded(name, content)
    if _depth(source) > MAX_DEPTH:
        raise UnreadableDocument(f"{name} nests its tags deeper than {MAX_DEPTH:,} levels: it is no document.")
    tree = HTMLTree.parse(source)
    writer = _Markdown()
    writer.feed(_content(tree))
    writer.close()
    return Page(" ".join((tree.title or "").split()), writer.text(), tuple(writer.headings))


def _decoded(name: str, content: bytes) -> str:
    """Decode by byte order mark, as UTF-8 if it is, else as the page declares."""
    declared = _CHARSET.search(content, 0, 4096)
    if declared is None or (not content.isascii() and _is_utf8(content)):
        return decode(name, content)
    try:
        codec = codecs.lookup(declared["name"].decode("ascii", "replace")).name
        return clean(content.decode("cp1252" if codec == "iso8859-1" else codec))  # as browsers do
    except (LookupError, UnicodeDecodeError):
        return decode(name, content)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _depth(source: str) -> int:
    """Return how deep the tags nest, counting those that need no end tag as none."""
    depth = deepest = 0
    for tag in _TAG.finditer(source):
        name = tag["name"].lower()
        if name in _VOID or name in _UNCLOSED or tag["alone"]:
            continue
        depth += -1 if tag["closing"] else 1
        deepest = max(deepest, depth)
    return deepest


def _content(tree: HTMLTree) -> str:
    """Return the content as the few tags that carry shape: headings, paragraphs, lists, code, line breaks."""
    whole = tree
    for selector in _MAIN:
        found = tree.body.query_selector_all(selector) if tree.body else []
        if len(found) == 1:
            whole = HTMLTree.parse(found[0].outer_html)
            break
    return str(extract_plain_text(whole, preserve_formatting="minimal_html", skip_elements=list(_DECORATION)))


class _Markdown(HTMLParser):
    """Writes the few tags of `_content` as text, and notes where headings lie."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.headings: list[Heading] = []
        self._parts: list[str] = []
        self._length = 0
        self._line_ends = 2  # newlines at the end of what is written
        self._heading_start = 0
        self._heading: list[str] | None = None
        self._code = False
        self._lists: list[int] = []  # the number of the last item, or -1 where items have bullets

    def text(self) -> str:
        """Return all of it."""
        return "".join(self._parts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002  # HTMLParser's
        if level := _level(tag):
            self._break(2)
            self._heading, self._heading_start = [], self._length
            self._write("#" * level + " ")
        elif tag in ("ul", "ol"):
            self._break(1 if self._lists else 2)
            self._lists.append(-1 if tag == "ul" else 0)
        elif tag == "li":
            self._break(1)
            self._write(self._bullet())
        elif tag == "pre":
            self._break(2)
            self._write("```\n")
            self._code = True
        elif tag in ("p", "br"):
            self._break(2 if tag == "p" else 1)

    def handle_endtag(self, tag: str) -> None:  # HTMLParser's
        if _level(tag) and self._heading is not None:
            title = " ".join("".join(self._heading).split())
            self.headings.append(Heading(title, _level(tag), self._heading_start, self._length))
            self._heading = None
        elif tag in ("ul", "ol"):
            del self._lists[-1:]
        elif tag == "pre":
            self._break(1)
            self._write("```")
            self._code = False
        if tag in ("pre", "p", "ul", "ol") or _level(tag):
            self._break(1 if self._lists else 2)

    def handle_data(self, data: str) -> None:  # HTMLParser's
        if self._code:
            self._write(data)
        elif data.strip():
            if self._heading is not None:
                data = " ".join(data.split())
                self._heading.append(data)
            self._write(data.strip("\n ") if self._line_ends or self._lists else data.rstrip("\n "))

    def _bullet(self) -> str:
        indent = "  " * (len(self._lists) - 1)
        if not self._lists or self._lists[-1] < 0:
            return f"{indent}- "
        self._lists[-1] += 1
        return f"{indent}{self._lists[-1]}. "

    def _break(self, line_ends: int) -> None:
        self._write("\n" * max(0, line_ends - self._line_ends))

    def _write(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)
        ends = len(text) - len(text.rstrip("\n"))
        self._line_ends = self._line_ends + ends if ends == len(text) else ends


def _level(tag: str) -> int:
    return int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1] in "123456" else 0
