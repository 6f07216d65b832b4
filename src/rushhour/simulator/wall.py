"""The wall clock, for the time stamps that providers put into their replies."""

from __future__ import annotations

import time


def unix_now() -> float:
    """Seconds since 1970."""
    return time.time()  # noqa: TID251 - the loop's clock has no calendar, and replies carry calendar time
