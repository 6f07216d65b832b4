"""Whether a result can be written, asked before the work that it is the result of."""

from __future__ import annotations

from pathlib import Path

from rushhour.errors import InvalidRequest


def check_writable(file: Path) -> None:
    """Say now, not after minutes, that a result could not be written; raises InvalidRequest.

    What is there stays as it is, and no file is left behind where there was none.
    """
    try:
        there = file.exists()
        with file.open("ab"):
            pass
        if not there:
            file.resolve().unlink()  # a link that led nowhere stays, too
    except OSError as cause:
        raise InvalidRequest(f"Cannot write {file}: {cause.strerror}. Name a file in a folder that exists.") from cause
