"""Where documents come from: files, folders, archives, standard input, and the manual that every Python carries."""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from rushhour.errors import SettingsError, UnreadableDocument, UnsupportedFormat
from rushhour.rag.documents.archive import is_archive, members_of
from rushhour.rag.documents.ignore import Ignored
from rushhour.rag.documents.metadata import Metadata
from rushhour.rag.documents.printable import printable
from rushhour.rag.parse import MAX_BYTES, PACKED, format_of

_HEAD: Final = 8_192
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""How texts of two or four bytes a character begin, which are full of zero bytes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A document's bytes, and the format they are said to be in: a key of `PARSERS`."""

    content: bytes
    form: str


@dataclass(frozen=True, slots=True)
class Source:
    """A document to be ingested: `load` reads its bytes when its turn comes, in a thread.

    `name` identifies it in its collection; `origin` is shown as the source of what it is cited for; an empty `title`
    leaves it to the document. `asked_for` is False for what was merely found in a folder: then an unsupported format
    is passed over rather than a failure. With `fetch`, which runs on the loop and tells the format, `load` is unused.
    `root` names the folder or archive that it was found in, as `root_of` does; a `hole` stands for what could not be
    listed there, so nothing can be said to be missing. `metadata` is for filters.
    """

    name: str
    load: Callable[[], bytes]
    origin: str
    title: str = ""
    asked_for: bool = True
    fetch: Callable[[], Awaitable[Loaded]] | None = None
    root: str = ""
    hole: bool = False
    metadata: Metadata = ()


class Sources(Protocol):
    """Documents that can be counted, and gone through as often as one likes in the same order.

    They need not be there between times: a source is small, and a million of them are not.
    """

    def __len__(self) -> int:
        """How many they are."""
        ...

    def __iter__(self) -> Iterator[Source]:
        """Go through them; reads nothing from a disk."""
        ...


@dataclass(frozen=True, slots=True)
class Grouped:
    """Groups of sources, one after the other, each source with the `metadata`."""

    groups: tuple[Sources, ...]
    metadata: Metadata = ()

    def __len__(self) -> int:
        """How many sources they are."""
        return sum(map(len, self.groups))

    def __iter__(self) -> Iterator[Source]:
        """Go through all of them."""
        sources = chain.from_iterable(self.groups)
        return (replace(source, metadata=self.metadata) for source in sources) if self.metadata else sources


MANUAL: Final = "python-manual"
"""The root of the manual's topics."""


def root_of(path: Path) -> str:
    """Name the folder or archive whose files come and go as it is ingested again; "" for a file by itself."""
    if os.path.isdir(path):  # noqa: PTH112  # `Path.is_dir` raises where one may not look, or a name is too long
        return f"folder:{printable(str(path.resolve()))}"
    if is_archive(path.name) and os.path.isfile(path):  # noqa: PTH113  # so does `Path.is_file`
        return f"archive:{printable(str(path.resolve()))}"
    return ""


def files_from(paths: Iterable[Path], ignore: Iterable[str] = ()) -> Sources:
    """List files, folders and zip archives, in order, passing over what `ignore` (see `Ignored`) names inside them.

    A file in a folder is named by its path inside that folder, one given by itself by its own name, a member of an
    archive by the archive's name and its path in it: so the names are the same from wherever, and however often, it
    is ingested. What cannot be read fails when it is loaded.
    """
    ignored = Ignored(ignore)
    groups: list[Sources] = []
    for path in paths:
        root = root_of(path)
        folder = root.startswith("folder:")
        groups += _walk(path, root, ignored) if folder else [tuple(_file(path, path.name, root, ignored))]
    return Grouped(tuple(groups))


def spooled(name: str, path: Path, ignore: Iterable[str] = ()) -> Iterator[Source]:
    """Yield what a file holds that standard input was copied to; by its name it has a format, or is an archive."""
    yield from _file(path, name, "", Ignored(ignore))


def python_manual() -> Iterator[Source]:
    """Yield the topics of Python's language reference, as `pydoc_data.topics` carries them.

    Raises SettingsError where a distribution has left it out.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as cause:
        raise SettingsError(
            "This Python carries no language reference (pydoc_data.topics is missing). "
            "Use a Python from python.org, or ingest files of your own."
        ) from cause
    for topic, text in sorted(topics.items()):
        if text.strip():
            title = text.strip().split("\n", 1)[0].strip()
            yield Source(f"{topic}.txt", partial(str.encode, text), f"python:{topic}", title, root=MANUAL)


def _walk(folder: Path, root: str, ignored: Ignored) -> Iterator[Sources]:
    """Yield what a folder holds, in order and in as few groups as that allows."""
    top = folder.resolve()
    unreadable: list[OSError] = []
    for plain, paths in groupby(_paths(folder, ignored, unreadable), partial(_is_plain, folder)):
        if plain:
            yield _Files(str(folder), root, _packed(paths))
        else:
            yield tuple(source for path in paths for source in _special(folder, top, path, root, ignored))
    yield tuple(_hole(cause, root) for cause in unreadable)


def _paths(folder: Path, ignored: Ignored, unreadable: list[OSError]) -> Iterator[str]:
    """Yield the paths of a folder's files in it, with forward slashes; adds to `unreadable` what cannot be listed."""
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        inside = Path(parent).relative_to(folder).as_posix()
        above = "" if inside == "." else f"{inside}/"
        folders[:] = sorted(name for name in folders if not ignored(above + name, folder=True))
        yield from (above + name for name in sorted(files) if not ignored(above + name))


def _is_plain(folder: Path, path: str) -> bool:
    """Whether a path means one file, and surely one of this folder."""
    return not is_archive(path) and not os.path.islink(os.path.join(folder, path))  # noqa: PTH114, PTH118  # see `_Files`


def _packed(paths: Iterable[str]) -> bytes:
    packed = bytearray()
    for path in paths:
        packed += os.fsencode(path) + b"\0"
    return bytes(packed)


@dataclass(frozen=True, slots=True)
class _Files:
    """Plain files of a folder by their `paths` in it, each with a zero byte behind it, which no path can hold.

    They are gone through several times, and a `Path` costs ten times what a joined text does.
    """

    folder: str
    root: str
    paths: bytes

    def __len__(self) -> int:
        return self.paths.count(b"\0")

    def __iter__(self) -> Iterator[Source]:
        for packed in re.finditer(rb"[^\0]+", self.paths):
            path = os.fsdecode(packed[0])
            name = printable(path)
            load = _OnDisk(os.path.join(self.folder, path), name, asked_for=False)  # noqa: PTH118  # as above
            yield Source(name, load, name, asked_for=False, root=self.root)


def _special(folder: Path, top: Path, path: str, root: str, ignored: Ignored) -> Iterator[Source]:
    """Yield what a link or an archive stands for."""
    file = folder / path
    real = Path(os.path.realpath(file))  # `resolve` raises where links lead round in a circle; reading says so better
    if file.is_symlink() and not real.is_relative_to(top):
        yield Source(printable(path), partial(_outside, path), printable(path), asked_for=False, root=root)
    else:
        yield from _file(file, path, root, ignored, asked_for=False)


def _hole(cause: OSError, root: str) -> Source:
    where = printable(str(cause.filename))
    return Source(where, partial(_fail, cause), where, root=root, hole=True)


def _file(path: Path, name: str, root: str, ignored: Ignored, *, asked_for: bool = True) -> Iterator[Source]:
    name = printable(name)
    if is_archive(name) and os.path.isfile(path):  # noqa: PTH113  # as in `root_of`
        yield from _archive(name, partial(_opened, path), root, ignored)
    else:
        yield Source(name, _OnDisk(str(path), name, asked_for), name, asked_for=asked_for, root=root)


def _archive(name: str, opened: Callable[[], BinaryIO], root: str, ignored: Ignored) -> Iterator[Source]:
    for member, load in members_of(name, opened, ignored):
        shown = printable(member)
        found = member != name  # the name alone is an archive that cannot be read
        content = partial(_checked, shown, load) if found else load
        yield Source(shown, content, shown, asked_for=not found, root=root, hole=not found)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """Reads a file."""

    path: str
    name: str
    asked_for: bool

    def __call__(self) -> bytes:
        path = Path(self.path)
        if path.exists() and not path.is_file():
            raise UnreadableDocument(f"{printable(self.path)} is no regular file.")
        with path.open("rb") as file:
            content = _whole(self.name, file)
        return content if self.asked_for else _checked(self.name, lambda: content)


def _whole(name: str, stream: BinaryIO) -> bytes:
    content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UnreadableDocument(f"{name} is larger than the {MAX_BYTES >> 20} MB that are read. Split it.")
    return content


def _checked(name: str, load: Callable[[], bytes]) -> bytes:
    """Pass over what only looks like a text by its name; who asked for it by name is told that it is broken."""
    content = load()
    if format_of(name) not in PACKED and b"\0" in content[:_HEAD] and not content.startswith(_WIDE):
        raise UnsupportedFormat(f"{name} is binary, although its name says that it is text.")
    return content


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")


def _outside(name: str) -> bytes:
    """Refuse it: a folder from elsewhere may link to one's own secrets."""
    raise UnsupportedFormat(f"{name} is a link that leads out of its folder. Name the file itself to ingest it.")


def _fail(cause: OSError) -> bytes:
    raise cause
