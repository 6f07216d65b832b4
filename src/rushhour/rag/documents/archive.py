"""Zip archives: each member is a file of its own, unpacked in memory when its turn comes, never onto a disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final

from rushhour.errors import DocumentError, UnreadableDocument, UnsupportedFormat
from rushhour.rag.documents.ignore import Ignored
from rushhour.rag.parse import zipped

MAX_MEMBERS: Final = 50_000
_DRIVE: Final = re.compile(r"[A-Za-z]:")

Open = Callable[[], BinaryIO]
Load = Callable[[], bytes]


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is a zip archive."""
    return name.lower().endswith(".zip")


def members_of(name: str, opened: Open, ignored: Ignored) -> Iterator[tuple[str, Load]]:
    """Yield the members of an archive as `archive.zip/path/in/it`, and how each is read.

    An archive that is broken, holds more than `MAX_MEMBERS` or would unpack to too much is one entry that raises
    UnreadableDocument when it is read; so is a member whose name leads out of the archive.
    """
    try:
        with opened() as file:
            members = zipped.directory(name, file)
        _check_number(name, len(members))
        zipped.check_total(name, members)
    except (DocumentError, OSError) as cause:
        yield name, partial(_fail, cause)
        return
    for member in members:
        path = member.name.replace("\\", "/")
        shown = f"{name}/{path}"
        if _leads_out(path):
            told = f"{shown}: its name leads out of the archive. Nobody packs such a file by accident."
            yield shown, partial(_fail, UnreadableDocument(told))
        elif not ignored.whole(path):
            nested = is_archive(path)
            yield shown, partial(_nested, shown) if nested else partial(_unpack, shown, opened, member)


def _check_number(name: str, members: int) -> None:
    if members > MAX_MEMBERS:
        raise UnreadableDocument(f"{name} holds {members:,} files, and {MAX_MEMBERS:,} are allowed. Split it.")


def _leads_out(path: str) -> bool:
    return path.startswith("/") or bool(_DRIVE.match(path)) or ".." in path.split("/")


def _unpack(name: str, opened: Open, member: zipped.Member) -> bytes:
    with opened() as file:
        return zipped.read(name, file, member)


def _nested(name: str) -> bytes:
    raise UnsupportedFormat(f"{name}: an archive within an archive is not opened. Unpack the outer one.")


def _fail(cause: DocumentError | OSError) -> bytes:
    raise cause
