"""What goes between the server and the processes that parse: one request in, one reply out, each with its length.

Replies are msgpack with a schema, never pickle: whoever takes over a parser must not take over the server.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

import msgspec

from rushhour.errors import DocumentError, EmptyDocument, RushhourError, UnreadableDocument, UnsupportedFormat
from rushhour.rag.parse.document import Document, Section

REQUEST: Final = struct.Struct(">IIdQ")
"""Bytes of the name, bytes of the format, seconds allowed, bytes of the content; then these three."""
LENGTH: Final = struct.Struct(">Q")
"""Bytes of the reply that follows."""
MAX_REPLY: Final = 512 * 2**20

_KINDS: Final[dict[str, type[DocumentError]]] = {
    kind.__name__: kind for kind in (DocumentError, UnreadableDocument, UnsupportedFormat, EmptyDocument)
}


class Parsed(msgspec.Struct, tag="parsed", array_like=True):
    """A document; its sections without their texts, which lie in the whole: headings, page, start, end."""

    title: str
    text: str
    markup: Literal["plain", "markdown"]
    sections: list[tuple[tuple[str, ...], int | None, int, int]]
    ends: bool


class Failed(msgspec.Struct, tag="failed", array_like=True):
    """Why there is none; `ends` says that the process stops, here as in `Parsed`."""

    kind: str
    message: str
    ends: bool


Reply = Parsed | Failed


def request(name: str, content: bytes, form: str, seconds: float) -> bytes:
    """Return what precedes the content of a request."""
    called = name.encode("utf-8", "surrogatepass")
    return REQUEST.pack(len(called), len(form), seconds, len(content)) + called + form.encode()


def parsed(document: Document, *, ends: bool) -> bytes:
    """Return the reply that carries a document."""
    sections = [(one.headings, one.page, one.start, one.end) for one in document.sections]
    return _framed(Parsed(document.title, document.text, document.markup, sections, ends))


def failed(cause: RushhourError, *, ends: bool = False) -> bytes:
    """Return the reply that carries an error."""
    return _framed(Failed(type(cause).__name__, str(cause), ends))


def document(reply: bytes) -> tuple[Document | DocumentError, bool]:
    """Return what a reply says, and whether its process stops; raises msgspec.DecodeError for what is no reply."""
    told = msgspec.msgpack.decode(reply, type=Reply)
    if isinstance(told, Failed):
        return _KINDS.get(told.kind, DocumentError)(told.message), told.ends
    sections = tuple(
        Section(told.text[start:end], headings, page, start) for headings, page, start, end in told.sections
    )
    return Document(told.title, told.text, sections, told.markup), told.ends


def _framed(reply: Reply) -> bytes:
    packed = msgspec.msgpack.encode(reply)
    return LENGTH.pack(len(packed)) + packed
