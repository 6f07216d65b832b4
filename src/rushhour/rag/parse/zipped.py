"""Zip files from strangers, in bounded memory: an honest directory is believed, and checked while it is read.

Only what a member says it holds is ever unpacked, so a bomb is refused by its directory, or found out by the first
byte too many.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from rushhour.errors import UnreadableDocument

MAX_DIRECTORY: Final = 16 * 2**20
"""Bytes of a zip file's directory: about 150,000 members."""
MAX_MEMBER: Final = 64 * 2**20
"""Bytes of one member unpacked."""
MAX_TOTAL: Final = 2**30
"""Bytes of all members unpacked."""
MAX_RATIO: Final = 200
"""Bytes unpacked for each packed byte; text reaches 20, logs and tables 100."""
_RATIO_FROM: Final = 2**20
"""Small members may pack better: a megabyte of blanks harms nobody."""

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_BROKEN: Final = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error, OSError)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip file, as the directory describes it: sizes and offset in bytes."""

    name: str
    size: int
    packed: int
    crc: int
    method: int
    encrypted: bool
    offset: int


class _Guarded(io.RawIOBase):
    """A file that nothing reads in one gulp: the directory's size is what the zip file says it is."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self._size = file.seek(0, io.SEEK_END)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        wanted = self._size - self._file.tell() if size < 0 else size
        if wanted > MAX_DIRECTORY:
            raise ValueError(f"its directory takes more than {MAX_DIRECTORY >> 20} MB")
        return self._file.read(max(0, wanted))


def directory(name: str, file: BinaryIO) -> list[Member]:
    """Return the files of a zip file in order; raises UnreadableDocument if it is none."""
    try:
        with zipfile.ZipFile(_Guarded(file)) as archive:
            return [_member(info) for info in archive.infolist() if not info.is_dir()]
    except _BROKEN as cause:
        raise UnreadableDocument(f"{name} is no zip file, or a broken one ({cause}).") from cause


def check_total(name: str, members: Sequence[Member]) -> None:
    """Raise UnreadableDocument if all of it unpacked exceeds `MAX_TOTAL` (overlapping members count each)."""
    total = sum(member.size for member in members)
    if total > MAX_TOTAL:
        raise UnreadableDocument(
            f"{name} would unpack to {total / 2**20:,.0f} MB, and {MAX_TOTAL >> 20:,} MB are allowed. "
            "Unpack it and ingest the folder, or parts of it."
        )


def read(name: str, file: BinaryIO, member: Member, limit: int = MAX_MEMBER) -> bytes:
    """Unpack one member, which messages call `name`.

    Raises UnreadableDocument if it is encrypted, larger than `limit`, packs better than documents do, or is not what
    the directory says.
    """
    _check(name, member, limit)
    try:
        file.seek(member.offset)
        mark, _, flags, *_, name_length, extra_length = _LOCAL.unpack(file.read(_LOCAL.size))
        if mark != b"PK\x03\x04" or flags & 1:
            raise UnreadableDocument(f"{name} is broken: the zip file's directory points at something else.")
        file.seek(name_length + extra_length, io.SEEK_CUR)
        packed = file.read(member.packed)
        content = packed if member.method == zipfile.ZIP_STORED else _inflated(packed, member.size + 1)
    except (*_BROKEN, zlib.error) as cause:
        raise UnreadableDocument(f"{name} is broken: it cannot be unpacked ({cause}).") from cause
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise UnreadableDocument(f"{name} is broken: it is not what the zip file's directory says.")
    return content


def _check(name: str, member: Member, limit: int) -> None:
    if member.encrypted:
        raise UnreadableDocument(f"{name} is encrypted. Unpack it with its password and ingest that.")
    if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableDocument(f"{name} is packed by an unusual method ({member.method}). Pack it anew as plain zip.")
    if member.size > limit:
        raise UnreadableDocument(f"{name} unpacks to {member.size / 2**20:,.0f} MB, and {limit >> 20} MB are allowed.")
    if member.size > _RATIO_FROM and member.size > MAX_RATIO * member.packed:
        raise UnreadableDocument(
            f"{name} unpacks to more than {MAX_RATIO} times its packed size: it looks like a zip bomb. "
            "If it is none, unpack it and ingest that."
        )


def _inflated(packed: bytes, at_most: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, at_most)


def _member(info: zipfile.ZipInfo) -> Member:
    return Member(
        info.filename,
        info.file_size,
        info.compress_size,
        info.CRC,
        info.compress_type,
        bool(info.flag_bits & 1),
        info.header_offset,
    )
