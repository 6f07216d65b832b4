"""Where documents come from."""

import os
from pathlib import Path

import pytest

from rushhour.errors import UnreadableDocument
from rushhour.rag.documents.sources import files_from, python_manual


def test_nothing_is_read_before_its_turn(tmp_path: Path) -> None:
    """A source knows how to load; what is missing fails then, and only then."""
    (source,) = files_from([tmp_path / "missing.txt"])

    assert (source.name, source.asked_for) == ("missing.txt", True)
    with pytest.raises(FileNotFoundError):
        source.load()


def test_names_do_not_depend_on_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same folder gives the same names, however it is spelled."""
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "a.txt").write_text("x")
    monkeypatch.chdir(tmp_path)

    spelled = [Path("docs"), Path("./docs/deep/.."), tmp_path / "docs"]

    assert [source.name for path in spelled for source in files_from([path])] == ["deep/a.txt"] * 3


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """Reading a pipe would wait for ever."""
    os.mkfifo(tmp_path / "pipe.txt")

    for source in (*files_from([tmp_path]), *files_from([tmp_path / "pipe.txt"])):
        with pytest.raises(UnreadableDocument, match=r"pipe\.txt is no regular file"):
            source.load()


def test_a_folder_that_cannot_be_listed_fails_as_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither passed over silently nor the end of the walk."""
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)

    fine, locked = files_from([tmp_path])

    assert fine.load() == b"x"
    with pytest.raises(PermissionError):
        locked.load()


def test_names_that_are_no_text_become_text(tmp_path: Path) -> None:
    """File names are bytes; the catalog holds text."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("x")

    (source,) = files_from([tmp_path])

    assert source.name == "caf\ufffd.txt"
    assert source.load() == b"x"


def test_the_manual_has_a_title_for_every_topic() -> None:
    """Names, origins and titles as they are cited."""
    sources = list(python_manual())
    (source,) = (one for one in sources if one.name == "with.txt")

    assert (source.origin, source.title) == ("python:with", 'The "with" statement')
    assert source.load().startswith(b'The "with" statement\n****')
    assert all(one.title and one.asked_for for one in sources)
