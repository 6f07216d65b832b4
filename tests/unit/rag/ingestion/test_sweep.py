"""What is missing from a folder, and which new file it has become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from rushhour.catalog.contract import File
from rushhour.rag.documents.sources import Source
from rushhour.rag.ingestion.sweep import Roots


def file(name: str, content: str, root: str = "folder:x") -> File:
    """Make a visible file."""
    return File(name, "v1", name, name, 1, root=root, content=content)


def source(name: str) -> Source:
    """Make a document that is there."""
    return Source(name, bytes, name, root="folder:x")


def test_what_has_the_bytes_of_a_missing_file_has_moved() -> None:
    """The first of several; what is still there, of another root, or of unknown bytes has not."""
    visible = [file("a", "1"), file("b", "1"), file("c", "2"), file("d", "3", "folder:y"), file("e", "")]

    roots = Roots.of(["folder:x"], [source("c"), source("new")], visible)

    assert list(roots.missing) == ["a", "b", "e"]
    assert [roots.moved(content) for content in ("1", "2", "3", "", "9")] == ["a", "", "", "", ""]


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
    roots = Roots.of(["folder:x"], [], cast("list[File]", visible))

    assert [roots.moved(one.name) for one in visible] == [one.name for one in visible]
    assert max(one.asked for one in visible) <= 3
