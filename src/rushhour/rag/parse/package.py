"""A zip file of XML parts, as .docx and .epub are."""

from __future__ import annotations

import io
import posixpath
from typing import Final
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse import zipped
from rushhour.rag.parse.xml import Target, stream, tree

MAX_TREE: Final = 8 * 2**20
"""Bytes of a part that is read as a tree, which takes some ten times as much memory."""


class Package:
    """The parts of one document, read as they are asked for; `kind` is what messages say it should be."""

    def __init__(self, name: str, content: bytes, kind: str) -> None:
        if content.startswith(b"\xd0\xcf\x11\xe0"):
            raise UnreadableDocument(
                f"{name} is encrypted, or in the format of before 2007. Save a copy as {kind} without a password."
            )
        self.name = name
        self.kind = kind
        self._file = io.BytesIO(content)
        members = zipped.directory(name, self._file)
        zipped.check_total(name, members)
        self._members = {member.name: member for member in members}

    def has(self, part: str) -> bool:
        """Whether there is such a part."""
        return part in self._members

    def read(self, part: str, limit: int = zipped.MAX_MEMBER) -> bytes:
        """Return a part's bytes; raises UnreadableDocument if it is missing, too large or broken."""
        member = self._members.get(part)
        if member is None:
            raise UnreadableDocument(f"{self.name} is no {self.kind} document: its part {part} is missing.")
        return zipped.read(f"{self.name}: {part}", self._file, member, limit)

    def tree(self, part: str) -> Element:
        """Return a part as a tree."""
        return tree(f"{self.name}: {part}", self.read(part, MAX_TREE))

    def stream(self, part: str, target: Target) -> None:
        """Read a part into a target."""
        stream(f"{self.name}: {part}", self.read(part), target)


def relative(part: str, reference: str) -> str:
    """Return the part that a reference in another part means."""
    path = unquote(reference.partition("#")[0])
    if path.startswith("/"):
        return posixpath.normpath(path.lstrip("/"))
    return posixpath.normpath(posixpath.join(posixpath.dirname(part), path))
