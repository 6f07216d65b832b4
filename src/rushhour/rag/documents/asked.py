"""What somebody asked to be ingested, in a form that another process can take up."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.rag.documents.metadata import Metadata
from rushhour.rag.documents.printable import printable

STANDARD_INPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class Asked:
    """Paths, URLs and `-` for standard input, in order; without any, the manual that every Python carries.

    `ignore` are patterns for folders and archives, `name` is what standard input is called, `allow_private` lets
    URLs of this machine and the local network be fetched. Unless `keep_missing`, files that are gone from a folder
    or archive that is ingested again leave the collection. `spooled` is the SHA-256 of standard input once it is
    kept. All documents get the `metadata`, for filters.
    """

    paths: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    name: str = ""
    allow_private: bool = False
    keep_missing: bool = False
    spooled: str = ""
    metadata: Metadata = ()

    def as_json(self) -> str:
        """Write it down in ASCII; equal requests give equal texts, also where a file's name is no UTF-8."""
        # Not by msgspec, which refuses the half characters that stand for the bytes of such a name.
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it back; raises InvalidRequest for what no release wrote."""
        try:
            return msgspec.convert(json.loads(text), type=cls)
        except ValueError as cause:
            told = f"What the job was asked cannot be read ({cause}). Start the ingestion anew."
            raise InvalidRequest(told) from cause

    @property
    def shown(self) -> str:
        """What it is, for people."""
        return " ".join(map(printable, self.paths)) or "the Python manual"

    def absolute(self) -> Self:
        """Return the same from wherever one stands."""
        from rushhour.rag.documents.fetch import is_url

        def whole(path: str) -> str:
            return path if path == STANDARD_INPUT or is_url(path) else str(Path(path).absolute())

        return replace(self, paths=tuple(whole(path) for path in self.paths))
