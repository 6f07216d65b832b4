"""All tests can be interrupted, and so can the processes that they start."""

import signal


def pytest_configure() -> None:
    """Undo what shells do to a script's commands in the background: they ignore Ctrl-C, and so would their children."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
