"""Structured logs: one JSON object a line for machines, colours for a person at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import msgspec
import structlog
from structlog.types import Processor

from rushhour.errors import SettingsError

LEVELS = ("debug", "info", "warning", "error", "critical")


def configure_logs(level: str = "info", pretty: bool | None = None, out: TextIO | None = None) -> None:
    """Set up structlog, and send what libraries log the standard way down the same path.

    Called once, by the entry point. `pretty` None asks whether `out` (stderr unless given) is a terminal. Raises
    SettingsError for a level that does not exist.
    """
    if level not in LEVELS:
        raise SettingsError(f"The log level {level!r} does not exist; choose one of {', '.join(LEVELS)}.")
    out = sys.stderr if out is None else out
    pretty = out.isatty() if pretty is None else pretty
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=_rendering(pretty)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


def _rendering(pretty: bool) -> list[Processor]:
    tidy = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if pretty:
        return [tidy, structlog.dev.ConsoleRenderer()]
    return [tidy, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_to_json)]


def _to_json(event: object, **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()
