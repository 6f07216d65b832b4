"""Log lines as machines and people read them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from rushhour.errors import SettingsError
from rushhour.telemetry.logs import configure_logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Put the process' logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_json_lines() -> None:
    """Our own entries and those of libraries are JSON objects of the same kind; tracebacks stay on their line."""
    out = io.StringIO()
    configure_logs("info", out=out)
    structlog.get_logger("rushhour.server").info("answered", seconds=1.5, odd=object)
    logging.getLogger("uvicorn.error").warning("took %d", 3)
    structlog.get_logger("quiet").debug("unseen")
    try:
        int("broken")
    except ValueError:
        structlog.get_logger("rushhour.server").exception("failed")

    ours, theirs, failed = (json.loads(line) for line in out.getvalue().splitlines())
    assert (ours["event"], ours["level"], ours["logger"]) == ("answered", "info", "rushhour.server")
    assert (ours["seconds"], ours["odd"]) == (1.5, "<class 'object'>")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("took 3", "warning", "uvicorn.error")
    assert "ValueError: invalid literal" in failed["exception"]


def test_pretty_lines() -> None:
    """At a terminal the same entry is a line to read."""
    out = io.StringIO()
    configure_logs("debug", pretty=True, out=out)
    structlog.get_logger("rushhour").debug("hello", who="you")
    assert "hello" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_unknown_level() -> None:
    """A level that does not exist is named with those that do."""
    with pytest.raises(SettingsError, match=r"'loud'.*debug, info"):
        configure_logs("loud")
