"""Which new file a missing one has become, and of which folders anything can be said to be missing."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import cast

from rushhour.catalog.contract import Catalog, Compared, File
from rushhour.rag.documents.sources import Source
from rushhour.rag.ingestion.sweep import Missing, compare


def file(name: str, content: str, root: str = "folder:x") -> File:
    """Make a visible file."""
    return File(name, "v1", name, name, 1, root=root, content=content)


def test_what_has_the_bytes_of_a_missing_file_has_moved() -> None:
    """The first of several; of unknown bytes none has."""
    missing = Missing.of((file("a", "1"), file("b", "1"), file("e", "")))

    assert [missing.moved(content) for content in ("1", "", "9")] == ["a", "", ""]


@dataclass
class Asked:
    """A catalog that says what it is asked, as names of missing files."""

    async def compare(self, collection: str, names: Iterable[str], roots: Set[str]) -> Compared:
        told = (collection, *names, *sorted(roots))
        return Compared(frozenset(), tuple(file(one, "") for one in told))


async def test_who_cannot_look_cannot_know() -> None:
    """Of a root of which a part could not be listed nothing is missing, nor of none."""
    sources = [Source("a", bytes, "a", root="folder:x"), Source("b", bytes, "b", root="folder:y", hole=True)]

    compared = await compare(cast("Catalog", Asked()), "docs", sources, ["folder:x", "folder:y", ""])

    assert [one.name for one in compared.missing] == ["docs", "a", "b", "folder:x"]


@dataclass
class Counted:
    """A visible file that counts how often its digest is asked for."""

    name: str
    root: str = "folder:x"
    asked: int = 0

    @property
    def content(self) -> str:
        self.asked += 1
        return self.name


def test_a_folder_that_moved_is_not_read_through_for_each_of_its_files() -> None:
    """A hundred thousand files would be ten thousand million comparisons."""
    visible = [Counted(f"{n:03}") for n in range(100)]
    missing = Missing.of(cast("tuple[File, ...]", tuple(visible)))

    assert [missing.moved(one.name) for one in visible] == [one.name for one in visible]
    assert max(one.asked for one in visible) <= 3
