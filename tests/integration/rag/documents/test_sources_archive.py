"""Zip archives, standard input, ignore patterns: what is found, what is refused, in bounded memory."""

import contextlib
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import DocumentError, UnreadableDocument, UnsupportedFormat
from rushhour.rag.documents import archive
from rushhour.rag.documents.ignore import Ignored
from rushhour.rag.documents.sources import Source, files_from, root_of, spooled
from rushhour.rag.parse import MAX_BYTES, zipped

TREE = ("a.md", "docs/b.md", "docs/deep/c.txt", "node_modules/x.md", ".git/config.txt", "__MACOSX/a.md", "src/d.min.js")


def packed(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """Write a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts:
            made.writestr(name, content)
    return file.getvalue()


def names(sources: Iterable[Source]) -> list[str]:
    """Return their names."""
    return [source.name for source in sources]


def test_members_are_files_of_their_own(tmp_path: Path) -> None:
    """Named by the archive and their path in it, found rather than asked for, without what nobody wrote."""
    (tmp_path / "all.zip").write_bytes(packed((name, name.encode()) for name in TREE))

    sources = list(files_from([tmp_path / "all.zip"]))

    assert names(sources) == ["all.zip/a.md", "all.zip/docs/b.md", "all.zip/docs/deep/c.txt"]
    assert [source.load() for source in sources] == [b"a.md", b"docs/b.md", b"docs/deep/c.txt"]
    assert not any(source.asked_for for source in sources)
    assert names(files_from([tmp_path])) == names(sources)


def test_ignore_patterns_hold_for_folders_and_archives(tmp_path: Path) -> None:
    """The same files, whether packed or not."""
    for name in TREE:
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text("x")
    (tmp_path / "tree.zip").write_bytes(packed((name, b"x") for name in TREE))

    found = names(files_from([tmp_path / "tree"], ["deep/", "!*.min.js"]))

    assert found == ["a.md", "docs/b.md", "src/d.min.js"]
    assert names(files_from([tmp_path / "tree.zip"], ["deep/", "!*.min.js"])) == [f"tree.zip/{name}" for name in found]


@pytest.mark.parametrize(
    ("pattern", "hit", "missed"),
    [
        ("*.log", ["a.log", "x/a.log"], ["a.logs", "log"]),
        ("/a.md", ["a.md"], ["x/a.md"]),
        ("docs/*.md", ["docs/a.md"], ["docs/x/a.md", "x/docs/a.md"]),
        ("docs/**/a.md", ["docs/a.md", "docs/x/y/a.md"], ["docs/b.md"]),
        ("**/tmp", ["tmp", "x/tmp", "x/tmp/a.md"], ["tmpx"]),
        ("build/", ["build/a.md", "x/build/a.md"], ["build", "x/build"]),
        ("a?c[0-9].md", ["abc1.md"], ["ac1.md", "abcd.md", "a/c1.md"]),
        ("[!x].md", ["a.md"], ["x.md"]),
        ("a[.md", ["a[.md"], ["a.md"]),
        ("(a|b)+.md", ["(a|b)+.md"], ["a.md"]),
    ],
)
def test_patterns_mean_what_they_mean_in_a_gitignore(pattern: str, hit: list[str], missed: list[str]) -> None:
    """Within names, across folders, from the top, folders only."""
    ignored = Ignored([pattern])

    assert [path for path in hit if not ignored.whole(path)] == []
    assert [path for path in missed if ignored.whole(path)] == []


@given(st.text(alphabet="ab*?[]!/.-\\^", min_size=1, max_size=12), st.text(alphabet="ab/.", min_size=1, max_size=12))
def test_any_pattern_is_one(pattern: str, path: str) -> None:
    """None is an error."""
    assert Ignored([pattern]).whole(path) in (True, False)


@pytest.mark.parametrize("name", ["../x.md", "a/../../x.md", "/etc/x.md", "C:\\x.md", "..\\x.md"])
def test_names_that_lead_out_are_refused_alone(tmp_path: Path, name: str) -> None:
    """The other members are read."""
    (tmp_path / "a.zip").write_bytes(packed([(name, b"x"), ("fine.md", b"y")]))

    evil, fine = files_from([tmp_path / "a.zip"])

    with pytest.raises(UnreadableDocument, match="its name leads out of the archive"):
        evil.load()
    assert fine.load() == b"y"


def test_bombs_are_refused_without_unpacking_them(tmp_path: Path) -> None:
    """By their ratio, their size, or both of all members together; memory stays where it is."""
    zeros = packed([("zeros.txt", b" " * (60 * 2**20)), ("fine.md", b"x")])
    (tmp_path / "ratio.zip").write_bytes(zeros)
    (tmp_path / "total.zip").write_bytes(packed((f"{number}.txt", b" " * 30 * 2**20) for number in range(35)))

    tracemalloc.start()
    bomb, fine = files_from([tmp_path / "ratio.zip"])
    with pytest.raises(UnreadableDocument, match="looks like a zip bomb"):
        bomb.load()
    (total,) = files_from([tmp_path / "total.zip"])
    with pytest.raises(UnreadableDocument, match=r"total\.zip would unpack to 1,050 MB, and 1,024 MB are allowed"):
        total.load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert fine.load() == b"x"
    assert total.asked_for
    assert peak < 4 * 2**20


def test_a_bomb_that_lies_about_its_size_is_found_out(tmp_path: Path) -> None:
    """Nothing beyond what the directory says is unpacked, and then it does not fit."""
    content = bytearray(packed([("a.txt", b"ab" * 2**20)]))
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<L", 1_000)
    (tmp_path / "a.zip").write_bytes(content)

    (liar,) = files_from([tmp_path / "a.zip"])

    with pytest.raises(UnreadableDocument, match="not what the zip file's directory says"):
        liar.load()


def test_what_else_a_member_may_be(tmp_path: Path) -> None:
    """Encrypted, packed by strange means, an archive again, binary in disguise: each says so, none stops the rest."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("locked.md", b"x")
        made.writestr("odd.md", b"x" * 100, zipfile.ZIP_LZMA)
        made.writestr("inner.zip", b"x")
        made.writestr("junk.txt", b"\0\1\2")
        made.writestr("wide.txt", "x".encode("utf-16"))
    content = bytearray(file.getvalue())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)

    locked, odd, inner, junk, wide = files_from([tmp_path / "a.zip"])

    for source, kind, reason in (
        (locked, UnreadableDocument, "is encrypted"),
        (odd, UnreadableDocument, "unusual method"),
        (inner, UnsupportedFormat, "archive within an archive"),
        (junk, UnsupportedFormat, "is binary"),
    ):
        with pytest.raises(kind, match=rf"a\.zip/{source.name[6:]}.*{reason}"):
            source.load()
    assert wide.load() == b"\xff\xfex\0"


def test_an_archive_of_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is one whose directory alone would fill the memory."""
    (tmp_path / "a.zip").write_bytes(packed((f"{number}.md", b"x") for number in range(50)))
    monkeypatch.setattr(archive, "MAX_MEMBERS", 49)
    (many,) = files_from([tmp_path / "a.zip"])
    with pytest.raises(UnreadableDocument, match="holds 50 files, and 49 are allowed"):
        many.load()

    monkeypatch.setattr(zipped, "MAX_DIRECTORY", 1_000)
    (huge,) = files_from([tmp_path / "a.zip"])
    with pytest.raises(UnreadableDocument, match="its directory takes more than"):
        huge.load()


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_archive_is_an_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever byte is wrong: each member is right, or a DocumentError."""
    content = bytearray(packed([("a.md", b"hello " * 20), ("b/c.md", b"world")]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) - 3, len(content)))]

    file = tmp_path_factory.mktemp("damaged") / "x.zip"
    file.write_bytes(content)
    for source in spooled("x.zip", file):
        with contextlib.suppress(DocumentError):
            assert source.load() in (b"hello " * 20, b"world")


def test_standard_input_has_the_name_it_is_given(tmp_path: Path) -> None:
    """Its ending is the format; an archive comes apart."""
    (tmp_path / "first").write_bytes(b"# x")
    (tmp_path / "second").write_bytes(packed([("a.md", b"x"), ("b.md", b"y")]))
    (one,) = spooled("notes.md", tmp_path / "first")
    two = list(spooled("all.zip", tmp_path / "second"))

    assert (one.name, one.origin, one.load(), one.asked_for) == ("notes.md", "notes.md", b"# x", True)
    assert [(source.name, source.load()) for source in two] == [("all.zip/a.md", b"x"), ("all.zip/b.md", b"y")]


def test_what_is_too_large_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    """Files and standard input alike."""
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    (huge,) = files_from([tmp_path / "a.txt"])

    with pytest.raises(UnreadableDocument, match=r"a\.txt is larger than the 64 MB"):
        huge.load()


def test_binary_files_in_folders_are_passed_over(tmp_path: Path) -> None:
    """Who names one is told that it is no text; a PDF may hold zero bytes."""
    (tmp_path / "a.txt").write_bytes(b"\0\1")
    (tmp_path / "b.pdf").write_bytes(b"%PDF \0")

    found, pdf = files_from([tmp_path])
    (named,) = files_from([tmp_path / "a.txt"])

    with pytest.raises(UnsupportedFormat, match=r"a\.txt is binary"):
        found.load()
    assert pdf.load() == b"%PDF \0"
    assert named.load() == b"\0\1"


def test_links_that_lead_out_of_a_folder_are_passed_over(tmp_path: Path) -> None:
    """A folder from elsewhere may point at one's own secrets; links within it are fine."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("x")
    (tmp_path / "docs" / "b.txt").symlink_to("a.txt")
    (tmp_path / "docs" / "c.txt").symlink_to("../secret.txt")

    a, b, c = files_from([tmp_path / "docs"])

    assert (a.load(), b.load()) == (b"x", b"x")
    with pytest.raises(UnsupportedFormat, match="leads out of its folder"):
        c.load()


def test_a_folder_is_gone_through_as_often_as_one_likes(tmp_path: Path) -> None:
    """Always in the same order, archives and links among the other files; whatever came or went since it was listed."""
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    for name in ("a.txt", "c.txt", "e\n.txt", "deep/a.txt"):
        (tmp_path / "docs" / name).write_text(name)
    (tmp_path / "docs" / "d.txt").symlink_to("a.txt")
    with zipfile.ZipFile(tmp_path / "docs" / "b.zip", "w") as made:
        made.writestr("x.txt", "x")
    expected = ["a.txt", "b.zip/x.txt", "c.txt", "d.txt", "e\n.txt", "deep/a.txt"]

    sources = files_from([tmp_path / "docs"])
    first = list(sources)
    (tmp_path / "docs" / "late.txt").write_text("late")
    (tmp_path / "docs" / "c.txt").unlink()

    assert (len(sources), names(first), names(sources)) == (6, expected, expected)
    assert {source.root for source in sources} == {root_of(tmp_path / "docs")}
    assert [source.load() for source in first if source.name != "c.txt"] == [
        b"a.txt",
        b"x",
        b"a.txt",
        b"e\n.txt",
        b"deep/a.txt",
    ]


def test_a_listed_file_takes_a_few_bytes(tmp_path: Path) -> None:
    """A source with its name and what loads it would take some four hundred."""
    for number in range(500):
        (tmp_path / f"{number:04}.txt").touch()
    list(files_from([tmp_path]))  # what is loaded the first time is not counted
    tracemalloc.start()
    try:
        sources = files_from([tmp_path])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(sources) == 500
    assert held / 500 < 30


def test_links_that_lead_round_in_a_circle_are_files_that_cannot_be_read(tmp_path: Path) -> None:
    """The others are listed all the same."""
    (tmp_path / "a.txt").write_text("One")
    (tmp_path / "self.txt").symlink_to("self.txt")
    (tmp_path / "there").symlink_to("back")
    (tmp_path / "back").symlink_to("there")

    sources = {source.name: source for source in files_from([tmp_path])}

    assert set(sources) == {"a.txt", "self.txt", "there", "back"}
    assert sources["a.txt"].load() == b"One"
    with pytest.raises(OSError, match=r"self\.txt"):
        sources["self.txt"].load()


@pytest.mark.parametrize("name", ["x" * 300 + ".md", "x" * 300 + ".zip"])
def test_a_path_that_cannot_be_looked_at_is_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """The others that were named beside it are listed all the same."""
    (tmp_path / "a.txt").write_text("One")

    strange, plain = files_from([tmp_path / name, tmp_path / "a.txt"])

    assert plain.load() == b"One"
    with pytest.raises(OSError, match="too long"):
        strange.load()
