"""A process that parses documents for its parent, one after another, until its standard input ends.

    python -P -m rushhour.rag.parse.worker MEMORY

MEMORY bounds its address space in bytes, 0 for no bound. What a parser does here (hang, crash, devour memory) costs
the parent one file.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from rushhour.errors import RushhourError, UnreadableDocument
from rushhour.rag import parse
from rushhour.rag.parse import wire

GRACE_S: Final = 5.0
"""How long after its time this process ends itself: its parent, which should have done it, is gone."""
_KEPT: Final = 0.5
"""The part of its memory that a process may have needed and still take another file."""


def main(memory: int) -> None:
    """Serve until standard input ends."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the replies
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    _bound(memory)
    ends = False
    while not ends and (head := sys.stdin.buffer.read(wire.REQUEST.size)):
        reply, ends = _served(sys.stdin.buffer, replies, head, memory)
        with contextlib.suppress(BrokenPipeError):  # the parent left
            replies.write(reply)
            replies.flush()


def _served(requests: BinaryIO, replies: BinaryIO, head: bytes, memory: int) -> tuple[bytes, bool]:
    """Read one request and return the reply, and whether this process has grown too much to go on."""
    name_size, form_size, seconds, size = wire.REQUEST.unpack(head)
    name = requests.read(name_size).decode("utf-8", "surrogatepass")
    form = requests.read(form_size).decode()
    sys.excepthook = partial(_last_words, replies, name)
    _alarm(seconds + GRACE_S)
    try:
        document = parse.parse(name, requests.read(size), form)
        ends = _swollen(memory)
        return wire.parsed(document, ends=ends), ends
    except RushhourError as cause:
        ends = _swollen(memory)
        return wire.failed(cause, ends=ends), ends
    except MemoryError:
        pass  # outside of this clause, what filled the memory is gone
    finally:
        _alarm(0)
    needs = f"{name} takes more than {memory >> 20:,} MB of memory to read. Split it."
    return wire.failed(UnreadableDocument(needs), ends=True), True


def _last_words(
    replies: BinaryIO, name: str, kind: type[BaseException], cause: BaseException, _trace: TracebackType | None
) -> None:
    """Tell what a parser did not foresee; the process ends after it, for who knows what state it is in."""
    said = f"{name} is broken, or its parser is: {kind.__name__}: {cause}"
    replies.write(wire.failed(UnreadableDocument(said[:1_000]), ends=True))
    replies.flush()


def _bound(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory and sys.platform != "darwin":  # where the limit cannot be set
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _swollen(memory: int) -> bool:
    """Whether a process has needed so much that it should not take another file."""
    return memory > 0 and _peak() > _KEPT * memory


def _peak() -> int:
    """Return the most memory that this process has held so far, in bytes; 0 where that is not known.

    On Linux not by getrusage: it begins with what the parent held when it started us.
    """
    with contextlib.suppress(OSError), Path("/proc/self/status").open(encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _alarm(seconds: float) -> None:
    """End this process, even in the midst of a C library, unless it is called again in time."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]))
