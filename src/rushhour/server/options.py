"""What the server is told at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Who may ask, how much, how long, and what the server calls itself.

    `api_keys` maps a key to its tenant; without any, everybody is "anonymous". `deadline_s` is the patience of a
    caller who names none, and the most that one may name. Times are in seconds.
    """

    api_keys: Mapping[str, str] = field(default_factory=dict)
    max_body_bytes: int = 1_048_576
    deadline_s: float = 60.0
    shutdown_grace_s: float = 20.0
    version: str = "0"
    commit_after_s: float = 1.0
    """How long a stream waits for its first piece before it sends its headers; until then a failure is a status."""
    comment_every_s: float = 5.0
    """The longest silence on a stream; then a comment keeps the connection alive."""
