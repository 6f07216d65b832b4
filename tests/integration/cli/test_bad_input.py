"""Whatever a user gets wrong is answered with a message that helps, an exit status, and no traceback."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

Rushhour = Callable[..., Awaitable[Any]]
Providers = Callable[..., AbstractAsyncContextManager[dict[str, str]]]


async def test_files_that_cannot_be_ingested_do_not_stop_the_others(
    rushhour: Rushhour, providers: Providers, tmp_path: Path
) -> None:
    """A missing, an unsupported, an empty and a broken file are each named with the reason; the good one is there."""
    (tmp_path / "good.md").write_text("# Badges\n\nA lost badge is replaced at the reception desk.\n")
    (tmp_path / "empty.txt").write_text("  \n")
    (tmp_path / "picture.xyz").write_bytes(b"\x00\x01")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 but not for long")
    names = ["good.md", "missing.txt", "empty.txt", "picture.xyz", "broken.pdf"]

    async with providers() as settings:
        done = await rushhour("ingest", *names, "--collection", "desk", **settings)
        asked = await rushhour("ask", "who replaces a lost badge?", **settings)

    done.failed("1 new", "4 failed", "missing.txt", "empty.txt", "picture.xyz", "broken.pdf", ".md")
    assert asked.status == 0, asked.said
    assert "A lost badge is replaced at the reception desk." in asked.words
    assert "[1] Badges" in asked.words


@pytest.mark.parametrize("part", ["embed", "chat"])
async def test_a_wrong_key(rushhour: Rushhour, providers: Providers, tmp_path: Path, part: str) -> None:
    """The message names the setting that holds the key, not the key; nothing is answered in its stead."""
    (tmp_path / "good.md").write_text("# Badges\n\nA lost badge is replaced at the reception desk.\n")
    async with providers() as settings:
        await rushhour("ingest", "good.md", "--collection", "desk", **settings)
        wrong = {**settings, f"{part}__api_key": "sk-wrong-and-secret"}
        asked = await rushhour("ask", "who replaces a lost badge?", **wrong)
        checked = await rushhour("check", **wrong)

    asked.failed(f"RUSHHOUR_{part.upper()}__API_KEY")
    checked.failed(f"RUSHHOUR_{part.upper()}__API_KEY", "✓ catalog")
    assert "sk-wrong-and-secret" not in asked.said + checked.said


async def test_a_provider_that_is_not_there(rushhour: Rushhour, providers: Providers) -> None:
    """`check` says what does not answer, where, and which setting leads there."""
    async with providers() as settings:
        done = await rushhour("check", **{**settings, "embed__base_url": "http://127.0.0.1:9/v1"})

    done.failed("✗ embedder", "127.0.0.1:9", "RUSHHOUR_EMBED__BASE_URL", "✓ generator")


async def test_an_unknown_collection(rushhour: Rushhour) -> None:
    """The message names what there is, or how to make one."""
    done = await rushhour("ask", "anybody?", "--collection", "nowhere")

    done.failed("nowhere", "rushhour ingest")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ingest",), "name files or folders"),
        (("ingest", "a.txt"), "--collection"),
        (("ingest", "a.txt", "--python-manual"), "not both"),
        (("ingest", "a.txt", "--collection", "Bad Name!"), "cannot name a collection"),
        (("ingest", "", "--collection", "desk"), "path is empty"),
        (("ingest", "ftp://example.com/a.txt", "--collection", "desk"), "only http:// and https://"),
        (("ask", "hello?"), "no collection yet"),
        (("rehearse", "--over", "soon"), "--over"),
        (("rehearse", "--users", "0"), "users"),
        (("simulate", "--profile", "nope"), "nope"),
        (("serve", "--log-level", "loud"), "loud"),
    ],
)
async def test_commands_that_make_no_sense(rushhour: Rushhour, arguments: tuple[str, ...], words: str) -> None:
    """Each says what is missing or wrong."""
    done = await rushhour(*arguments)

    assert done.status in (1, 2), done.said
    assert "Traceback" not in done.said
    assert words in done.words


async def test_settings_that_cannot_be(rushhour: Rushhour) -> None:
    """All of them at once, each with its remedy, before anything is started."""
    done = await rushhour("serve", chat__rpm="-1", embed__provider="openai", chat__rpn="5")

    done.failed("RUSHHOUR_CHAT__RPM is '-1'", "RUSHHOUR_EMBED", "did you mean RUSHHOUR_CHAT__RPM?")


async def test_a_port_in_use(rushhour: Rushhour) -> None:
    """The message names the port and the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = await rushhour("serve", "--port", str(port))

    done.failed(f"Port {port}", "in use", "--port")


async def test_a_data_directory_that_is_a_file(rushhour: Rushhour, tmp_path: Path) -> None:
    """The message names the path and the setting."""
    (tmp_path / "data").write_text("not a folder")

    done = await rushhour("check", data_dir=str(tmp_path / "data"))

    done.failed("RUSHHOUR_DATA_DIR")
