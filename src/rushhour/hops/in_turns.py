"""Many inputs for few threads, from several callers at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_turns(inputs: Iterable[T], submit: Callable[[T], asyncio.Future[R]], width: int) -> list[R]:
    """Return what `submit` makes of the inputs, in their order; at most `width` of them wait or run at any moment.

    So several callers take turns, and nobody waits behind another's whole list. A cancelled caller leaves at most
    what is running behind.
    """
    window: deque[asyncio.Future[R]] = deque()
    done: list[R] = []
    try:
        for one in inputs:
            if len(window) == width:
                done.append(await window.popleft())
            window.append(submit(one))
        while window:
            done.append(await window.popleft())
    finally:
        for waiting in window:
            waiting.cancel()
    return done
