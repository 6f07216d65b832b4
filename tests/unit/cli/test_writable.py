"""Whether a result can be written is found out without leaving a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rushhour.cli.writable import check_writable
from rushhour.errors import InvalidRequest


def test_what_was_not_there_is_not_there_afterwards(tmp_path: Path) -> None:
    """Neither a file, nor what a link that led nowhere names; the link itself stays."""
    (tmp_path / "link").symlink_to("nowhere")

    check_writable(tmp_path / "new.json")
    check_writable(tmp_path / "link")

    assert [file.name for file in tmp_path.iterdir()] == ["link"]
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_what_is_there_stays(tmp_path: Path, content: bytes) -> None:
    """An empty file is somebody's, too."""
    (tmp_path / "old.json").write_bytes(content)

    check_writable(tmp_path / "old.json")

    assert (tmp_path / "old.json").read_bytes() == content


def test_a_link_to_a_device_stays(tmp_path: Path) -> None:
    """As /dev/stdout is one."""
    (tmp_path / "null").symlink_to(os.devnull)

    check_writable(tmp_path / "null")

    assert (tmp_path / "null").is_symlink()
    assert Path(os.devnull).exists()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With the reason and the remedy."""
    with pytest.raises(InvalidRequest, match=r"Cannot write .*none/x.json: No such file.*folder that exists"):
        check_writable(tmp_path / "none" / "x.json")
