"""Where documents come from: files, folders, and the manual that every Python carries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rushhour.errors import SettingsError, UnreadableDocument


@dataclass(frozen=True, slots=True)
class Source:
    """A document to be ingested: `load` reads its bytes when its turn comes, in a thread.

    `name` identifies it in its collection; `origin` is shown as the source of what it is cited for; an empty `title`
    leaves it to the document. `asked_for` is False for what was merely found in a folder: then an unsupported format
    is passed over rather than a failure.
    """

    name: str
    load: Callable[[], bytes]
    origin: str
    title: str = ""
    asked_for: bool = True


def files_from(paths: Iterable[Path]) -> Iterator[Source]:
    """Walk files and folders, in order; hidden files and folders inside a folder are passed over.

    A file in a folder is named by its path inside that folder, one given by itself by its own name: so the names are
    the same from wherever, and however often, it is ingested. What cannot be read fails when it is loaded.
    """
    for path in paths:
        if path.is_dir():
            yield from _walk(path)
        else:
            yield _file(path, path.name)


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
            yield Source(f"{topic}.txt", partial(str.encode, text), f"python:{topic}", title)


def _walk(folder: Path) -> Iterator[Source]:
    unreadable: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(parent, name)
                yield _file(path, path.relative_to(folder).as_posix(), asked_for=False)
    for cause in unreadable:
        yield Source(_printable(str(cause.filename)), partial(_fail, cause), str(cause.filename))


def _file(path: Path, name: str, *, asked_for: bool = True) -> Source:
    name = _printable(name)
    return Source(name, partial(_read, path), name, asked_for=asked_for)


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise UnreadableDocument(f"{path} is no regular file.")
    return path.read_bytes()


def _fail(cause: OSError) -> bytes:
    raise cause


def _printable(name: str) -> str:
    """File names are bytes; those that are no UTF-8 cannot be stored as text."""
    return os.fsencode(name).decode("utf-8", "replace")
