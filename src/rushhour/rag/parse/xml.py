"""XML from strangers: no entities of their own, nothing external, no bottomless nesting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from rushhour.errors import UnreadableDocument

MAX_DEPTH: Final = 500
"""Nesting of elements; office documents stay below 50."""


class Target(Protocol):
    """Receives a document as it is read; tags and attributes are `namespace}name`, or `name` without a namespace."""

    def start(self, tag: str, attrs: dict[str, str], /) -> object:
        """Note that an element begins."""

    def end(self, tag: str, /) -> object:
        """Note that it ends."""

    def data(self, data: str, /) -> object:
        """Take text between tags."""


def stream(name: str, content: bytes, target: Target) -> None:
    """Read XML into a target.

    Raises UnreadableDocument if it is not well-formed, declares entities (the billion laughs begin so) or nests
    deeper than `MAX_DEPTH`.
    """
    depth = 0

    def start(tag: str, attrs: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise UnreadableDocument(f"{name} nests its XML deeper than {MAX_DEPTH} levels: it is no document.")
        target.start(tag, attrs)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        target.end(tag)

    def refuse(*_declared: object) -> None:
        raise UnreadableDocument(f"{name} declares XML entities of its own, which hide what it holds: refused.")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = target.data
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except expat.ExpatError as cause:
        raise UnreadableDocument(f"{name} is broken: its XML cannot be read ({cause}).") from cause
    except (LookupError, ValueError) as cause:  # an encoding that Python does not know, or refuses
        raise UnreadableDocument(f"{name} is broken: its XML declares an unknown encoding ({cause}).") from cause


def tree(name: str, content: bytes) -> Element:
    """Read a small XML document whole; raises as `stream` does."""
    builder = TreeBuilder()
    stream(name, content, builder)
    return builder.close()


def local(tag: str) -> str:
    """Return a tag without its namespace."""
    return tag.rpartition("}")[2]


def attribute(attrs: Mapping[str, str], name: str) -> str:
    """Return an attribute whatever its namespace, "" if it is missing."""
    if name in attrs:
        return attrs[name]
    return next((value for key, value in attrs.items() if key.endswith("}" + name)), "")


def below(element: Element, name: str) -> list[Element]:
    """Return the elements of that name anywhere below, in order, whatever their namespace."""
    return [one for one in element.iter() if local(one.tag) == name]
