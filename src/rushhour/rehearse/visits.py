"""Who comes when, and asks what: the crowd's plan as its process reads it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec


class Visit(msgspec.Struct, frozen=True):
    """One user: `at` is the scheduled arrival in seconds from the start.

    Without a `gold` any whole answer will do; `tenant` is whose user it is, `key` the API key sent, if not all's.
    """

    user: int
    at: float
    question: str
    gold: str
    tenant: str = ""
    key: str = ""


def write_visits(path: Path, visits: Sequence[Visit]) -> None:
    """Write a plan for the crowd's process."""
    path.write_bytes(msgspec.json.encode(visits))


def read_visits(path: Path) -> list[Visit]:
    """Read a plan back; raises OSError and msgspec.ValidationError."""
    return msgspec.json.decode(path.read_bytes(), type=list[Visit])
