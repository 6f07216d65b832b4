"""File names that can be shown and stored, whatever their bytes are."""

from __future__ import annotations

import os


def printable(name: str) -> str:
    """Return a file's name as text: names are bytes, and those that are no UTF-8 have their bad ones replaced."""
    return os.fsencode(name).decode("utf-8", "replace")
