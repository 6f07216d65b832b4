"""A process that does not outlive the one that started it: `python -m rushhour.rehearse.leash MODULE ARGUMENT…`.

A rehearsal gives each of its processes a pipe as its input and never closes it, so that its end means that the
rehearsal is gone, however it went: a killed process cannot clean up, but the system closes its pipes. The leashed
process then ends itself, first as if it had been asked to, and a little later in any case.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

GRACE_S = 5.0
_INPUT = 0
_GONE = 70


def hold() -> None:
    """Watch the input from now on, and end this process when it ends; returns at once."""
    threading.Thread(target=_watch, name="leash", daemon=True).start()


def read_line() -> bytes:
    """Read a line of the input and nothing beyond it; empty at its end. For use before `hold`."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(_INPUT, 1)
        if not byte:
            return b""
        line += byte
    return line


def _watch() -> None:
    while _read():
        pass
    timer = threading.Timer(GRACE_S, os._exit, (_GONE,))
    timer.daemon = True
    timer.start()
    os.kill(os.getpid(), signal.SIGTERM)


def _read() -> bytes:
    try:
        return os.read(_INPUT, 4096)
    except OSError:  # closed at our end: as good as gone
        return b""


def main() -> None:
    """Run a module as a program, on the leash."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m rushhour.rehearse.leash MODULE ARGUMENT…")
    module = sys.argv[1]
    del sys.argv[1]
    hold()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
