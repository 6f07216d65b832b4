"""Waits that are all bounded alike, by one timer for all of them: who began first runs out of time first."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Patience:
    """Bounds blocks as `asyncio.timeout_at` does, at a fifth of its cost; use as `with patience.until(when): ...`.

    Every block should end no earlier than those that began before it; one that would is cut when they are.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._blocks: deque[_Block] = deque()
        self._watching = False

    def until(self, when: float) -> _Block:
        """Return a block that raises TimeoutError when it lasts longer than `when`, in seconds of the loop's clock."""
        return _Block(self, when)

    def begin(self, block: _Block) -> asyncio.Task[object]:
        """Watch a block; return the task that it is part of."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a bounded block is part of a task")
        self._blocks.append(block)
        if not self._watching:
            self._watching = True
            self._loop.call_at(block.when, self._look)
        return task

    def _look(self) -> None:
        """Cut the blocks whose time is up, and look again when that of the next is."""
        loop, blocks = self._loop, self._blocks
        while blocks and (blocks[0].task is None or blocks[0].when <= loop.time()):
            blocks.popleft().cut()
        self._watching = bool(blocks)
        if blocks:
            loop.call_at(blocks[0].when, self._look)


class _Block:
    """One bounded block; its `task` is None once it is over."""

    __slots__ = ("_cancelling", "_cut", "_patience", "task", "when")

    def __init__(self, patience: Patience, when: float) -> None:
        self._patience = patience
        self._cut = False
        self._cancelling = 0
        self.when = when
        self.task: asyncio.Task[object] | None = None

    def __enter__(self) -> None:
        self.task = self._patience.begin(self)
        self._cancelling = self.task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self.task = self.task, None
        if self._cut and task and task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def cut(self) -> None:
        """Cancel the block, unless it is over."""
        if self.task is not None:
            self._cut = True
            self.task.cancel()
