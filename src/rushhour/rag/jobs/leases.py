"""Locks that the kernel releases when their holder dies: how a job that is alive is told from one that is not.

A heartbeat would call a process dead that was only slow, and a process id may be another's by now. Locks are files in
a folder on a local disk (`flock`); network file systems may not keep them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

TRIES: Final = 10
PAUSE_S: Final = 0.02
"""Whoever asks whether a lock is held has it himself for a moment: one that is refused looks again."""


class Leases:
    """Named locks in a folder, which is made when the first is taken; any text is a name.

    A lock is exclusive, or shared with others that are shared too, in this process as among processes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def hold(self, name: str, *, shared: bool = False) -> AsyncIterator[bool]:
        """Hold a lock; yields False at once, and holds nothing, if somebody else does."""
        path = self._path(name)
        taken: int | None = None
        try:
            for attempt in range(TRIES):
                taking = asyncio.ensure_future(asyncio.to_thread(_take, path, shared))
                try:
                    taken = await asyncio.shield(taking)
                except asyncio.CancelledError:
                    while not taking.done():  # the thread cannot be stopped, and nobody else would give it back
                        with suppress(asyncio.CancelledError):
                            await asyncio.wait([taking])
                    taken = None if taking.exception() else taking.result()
                    raise
                if taken is not None or attempt == TRIES - 1:
                    break
                await asyncio.sleep(PAUSE_S)
            yield taken is not None
        finally:
            if taken is not None:
                _give_back(path, taken, shared)

    async def held(self, name: str) -> bool:
        """Whether somebody holds a lock, exclusively."""
        return await asyncio.to_thread(_held, self._path(name))

    def _path(self, name: str) -> Path:
        """Return a lock's file: no name is too long for it, and none leads out of the folder."""
        return self._folder / f"{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}.lock"


def _take(path: Path, shared: bool) -> int | None:
    import fcntl  # not on Windows, where nothing that needs a lease can run

    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        if _is_at(path, file):
            return file
        os.close(file)  # its holder has just removed it: that lock is nobody's


def _is_at(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _give_back(path: Path, file: int, shared: bool) -> None:
    if not shared:
        path.unlink(missing_ok=True)
    os.close(file)


def _held(path: Path) -> bool:
    import fcntl

    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
