"""From what was asked to the documents that it means, as they are there now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rushhour.rag.documents.asked import STANDARD_INPUT, Asked
from rushhour.rag.documents.fetch import is_url
from rushhour.rag.documents.sources import (
    MANUAL,
    Grouped,
    Source,
    Sources,
    files_from,
    python_manual,
    root_of,
    spooled,
)


@dataclass(frozen=True, slots=True)
class Listing:
    """Documents in the order asked, and the folders and archives of which these are all that there are."""

    sources: Sources
    roots: tuple[str, ...]


def list_documents(asked: Asked, page: Callable[[str], Source], piped: Path | None) -> Listing:
    """List what is asked, reading folders and the directories of archives; `page` makes a source of a URL.

    `piped` is where standard input was spooled. Blocks: call it in a thread.
    """
    roots = [root_of(Path(path)) for path in _files(asked)] if asked.paths else [MANUAL]
    kept = () if asked.keep_missing else tuple(dict.fromkeys(root for root in roots if root))
    return Listing(Grouped(tuple(_groups(asked, page, piped)), asked.metadata), kept)


def _groups(asked: Asked, page: Callable[[str], Source], piped: Path | None) -> Iterator[Sources]:
    if not asked.paths:
        yield tuple(python_manual())
    for path in asked.paths:
        if path == STANDARD_INPUT:
            if piped is not None:
                yield tuple(spooled(asked.name, piped, asked.ignore))
        elif is_url(path):
            yield (page(path),)
        else:
            yield files_from([Path(path)], asked.ignore)


def _files(asked: Asked) -> Iterator[str]:
    for path in asked.paths:
        if path != STANDARD_INPUT and not is_url(path):
            yield path
