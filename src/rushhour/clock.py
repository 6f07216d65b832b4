"""The wall clock, for what people read later; everything else asks the event loop."""

import time


def unix_now() -> int:
    """Seconds since 1970, for created-at stamps."""
    return int(time.time())
