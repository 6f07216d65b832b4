"""What rehearsals that are interrupted leave for their user to read goes where a test's files go."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def logs_among_the_tests_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test, and the processes that it starts, make temporary folders in its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
