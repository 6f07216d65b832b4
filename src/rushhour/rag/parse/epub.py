"""E-books: the chapters in reading order, each with its headings, else with its name in the table of contents."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse.document import Document
from rushhour.rag.parse.html import page
from rushhour.rag.parse.package import Package, relative
from rushhour.rag.parse.writer import Writer
from rushhour.rag.parse.xml import below, local

_CONTAINER = "META-INF/container.xml"
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbncx+xml")


def parse_epub(name: str, content: bytes) -> Document:
    """Parse an EPUB 2 or 3.

    Raises UnreadableDocument for what is broken or no such book, or whose chapters are encrypted (DRM).
    """
    package = Package(name, content, ".epub")
    contents = _contents_part(name, package)
    root = package.tree(contents)
    chapters = list(_chapters(root, contents))
    _check_readable(name, package, chapters)
    labels = _labels(package, root, contents)
    writer = Writer()
    for part in chapters:
        if not package.has(part):
            continue  # a book with a missing leaf is still a book
        chapter = page(f"{name}: {part}", package.read(part))
        if not chapter.headings:
            writer.heading(labels.get(part, ""), 1)
        writer.append(chapter.text, chapter.headings)
    return writer.document(name, next((one.text or "" for one in below(root, "title")), ""))


def _contents_part(name: str, package: Package) -> str:
    for one in below(package.tree(_CONTAINER), "rootfile"):
        if path := one.get("full-path"):
            return posixpath.normpath(path)
    raise UnreadableDocument(f"{name} is no .epub book: {_CONTAINER} names no contents.")


def _manifest(root: Element, contents: str) -> dict[str, tuple[str, str, str]]:
    """Return part, type and properties of each item by its id."""
    return {
        one.get("id", ""): (
            relative(contents, one.get("href", "")),
            one.get("media-type", ""),
            one.get("properties", ""),
        )
        for one in below(root, "item")
    }


def _chapters(root: Element, contents: str) -> Iterator[str]:
    """Yield the parts of the reading order; the table of contents itself is none."""
    manifest = _manifest(root, contents)
    seen = set()
    for one in below(root, "itemref"):
        part, kind, properties = manifest.get(one.get("idref", ""), ("", "", ""))
        if kind in _PAGES and "nav" not in properties.split() and part not in seen:
            seen.add(part)
            yield part


def _check_readable(name: str, package: Package, chapters: list[str]) -> None:
    if not package.has("META-INF/encryption.xml"):
        return
    # fonts are often scrambled, and nobody needs them here
    locked = {one.get("URI", "") for one in below(package.tree("META-INF/encryption.xml"), "CipherReference")}
    if locked & set(chapters):
        raise UnreadableDocument(f"{name} is encrypted (DRM). Ask its publisher for a copy without.")


def _labels(package: Package, root: Element, contents: str) -> dict[str, str]:
    """Return what the table of contents calls each part, where it names the part as a whole."""
    labels: dict[str, str] = {}
    for part, kind, properties in _manifest(root, contents).values():
        if not package.has(part):
            continue
        if kind == "application/x-dtbncx+xml":
            found = [(_source(point), _words(point, "text")) for point in below(package.tree(part), "navPoint")]
        elif "nav" in properties.split():
            found = [(link.get("href", ""), "".join(link.itertext())) for link in below(package.tree(part), "a")]
        else:
            continue
        for reference, label in found:
            labels.setdefault(relative(part, reference), label)
    return labels


def _source(point: Element) -> str:
    return next((one.get("src", "") for one in point.iter() if local(one.tag) == "content"), "")


def _words(element: Element, child: str) -> str:
    return next(("".join(one.itertext()) for one in element.iter() if local(one.tag) == child), "")
