"""What is SQLite's own: files that cannot be used, several processes, closing."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from rushhour.catalog.contract import Chunk, File
from rushhour.catalog.sqlite import SqliteCatalog
from rushhour.errors import SettingsError, Unavailable

OTHER_PROCESS = """
import asyncio, pathlib, sys
from rushhour.catalog.contract import Chunk, File
from rushhour.catalog.sqlite import SqliteCatalog

async def main():
    catalog = await SqliteCatalog.open(pathlib.Path(sys.argv[1]))
    await catalog.ensure_collection("docs", "model")
    for n in range(20):
        name = f"{sys.argv[2]}{n}"
        await catalog.publish("docs", File(name, "v1", name, "", 1), [Chunk(name, name, 0, "walrus " + name)])
    await catalog.aclose()

asyncio.run(main())
"""


async def test_what_was_published_outlives_the_process(tmp_path: Path) -> None:
    """The file is the catalog."""
    path = tmp_path / "deep" / "er" / "catalog.sqlite3"
    first = await SqliteCatalog.open(path)
    await first.ensure_collection("docs", "model")
    await first.publish("docs", File("a", "v1", "a", "", 1), [Chunk("1", "a", 0, "walrus")])
    await first.aclose()

    second = await SqliteCatalog.open(path)
    try:
        assert [match.id for match in await second.lexical("docs", "walrus", 5)] == ["1"]
    finally:
        await second.aclose()


async def test_several_processes_share_one_file(tmp_path: Path) -> None:
    """Each creates and writes at once with the others; all of it is there, and seen without reopening."""
    path = tmp_path / "catalog.sqlite3"
    mine = await SqliteCatalog.open(path)
    others = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROCESS, str(path), letter) for letter in "abc"
    ]
    try:
        assert [await other.wait() for other in others] == [0, 0, 0]
        collection = await mine.collection("docs")
        assert (collection.files, collection.chunks, collection.version) == (60, 60, 60)
        assert len(await mine.lexical("docs", "walrus", 100)) == 60
    finally:
        await mine.aclose()


async def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; nobody fails."""
    opened = await asyncio.gather(*(SqliteCatalog.open(tmp_path / "c.sqlite3") for _ in range(8)))
    try:
        assert await opened[0].collections() == []
    finally:
        await asyncio.gather(*(catalog.aclose() for catalog in opened))


async def test_another_process_is_writing_to_the_new_file(tmp_path: Path) -> None:
    """SQLite answers "locked" at once while somebody else writes to a file that is not in WAL yet: we wait our turn."""
    path = tmp_path / "c.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.1, other.execute, "ROLLBACK")

        catalog = await SqliteCatalog.open(path)

    try:
        assert await catalog.collections() == []
    finally:
        await catalog.aclose()


async def test_a_directory_is_no_catalog(tmp_path: Path) -> None:
    """The message names the path and the setting."""
    with pytest.raises(SettingsError, match=rf"{tmp_path} is a directory.*RUSHHOUR_DATA_DIR"):
        await SqliteCatalog.open(tmp_path)


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(SettingsError, match=r"file.*cannot be.*RUSHHOUR_DATA_DIR"):
        await SqliteCatalog.open(tmp_path / "file" / "catalog.sqlite3")


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"Dear diary, " * 200)

    with pytest.raises(SettingsError, match=r"catalog\.sqlite3 cannot be used as the catalog: .*not a database"):
        await SqliteCatalog.open(path)
    assert path.read_bytes() == b"Dear diary, " * 200


async def test_a_database_of_another_program(tmp_path: Path) -> None:
    """It is left as it is."""
    path = tmp_path / "catalog.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE diary (entry TEXT)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(SettingsError, match="another program"):
        await SqliteCatalog.open(path)
    assert path.read_bytes() == before


async def test_a_catalog_of_a_newer_release(tmp_path: Path) -> None:
    """Writing to what one does not understand would damage it."""
    path = tmp_path / "catalog.sqlite3"
    await (await SqliteCatalog.open(path)).aclose()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(SettingsError, match=r"newer rushhour \(schema 99; this one knows 3\)"):
        await SqliteCatalog.open(path)


async def test_a_damaged_catalog_is_reported_by_path(tmp_path: Path) -> None:
    """No foreign error leaves the catalog."""
    path = tmp_path / "catalog.sqlite3"
    catalog = await SqliteCatalog.open(path)
    try:
        await catalog.ensure_collection("docs", "model")
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE chunks")
        connection.close()
        with pytest.raises(Unavailable, match=r"catalog\.sqlite3: no such table"):
            await catalog.chunks("docs", ["1"])
    finally:
        await catalog.aclose()


async def test_the_loop_runs_on_while_another_process_holds_the_file(tmp_path: Path) -> None:
    """A write waits in its thread for the other's transaction; readers do not wait at all."""
    path = tmp_path / "catalog.sqlite3"
    catalog = await SqliteCatalog.open(path)
    other = sqlite3.connect(path, isolation_level=None)
    try:
        await catalog.ensure_collection("docs", "model")
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(catalog.publish("docs", File("a", "v1", "a", "", 1), []))
        assert [one.files for one in await catalog.collections()] == [0]
        assert not writing.done()
        other.execute("COMMIT")
        assert await writing == set()
        assert (await catalog.collection("docs")).files == 1
    finally:
        other.close()
        await catalog.aclose()


async def test_a_cancelled_publication_is_whole_or_absent(tmp_path: Path) -> None:
    """Cancelling the caller never leaves half a file."""
    catalog = await SqliteCatalog.open(tmp_path / "catalog.sqlite3")
    try:
        await catalog.ensure_collection("docs", "model")
        chunks = [Chunk(str(n), "a", n, f"walrus {n}") for n in range(500)]
        publishing = asyncio.create_task(catalog.publish("docs", File("a", "v1", "a", "", 1), chunks))
        await asyncio.sleep(0)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        await catalog.ensure_collection("docs", "model")  # the one writer is done with it

        assert len(await catalog.chunk_ids("docs", "a")) in (0, 500)
        assert (await catalog.collection("docs")).chunks == len(await catalog.chunk_ids("docs", "a"))
    finally:
        await catalog.aclose()


async def test_closing_twice_is_no_error(tmp_path: Path) -> None:
    """Whoever closes on the way out need not know whether somebody did before."""
    catalog = await SqliteCatalog.open(tmp_path / "catalog.sqlite3")

    await catalog.aclose()
    await catalog.aclose()


def test_nothing_is_left_running(tmp_path: Path) -> None:
    """A process that opened and used a catalog ends by itself."""
    done = subprocess.run(  # noqa: S603  # our own interpreter and text
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "c.sqlite3"), "x"], timeout=60, check=False
    )

    assert done.returncode == 0
