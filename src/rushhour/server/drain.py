"""Leaving in order: whether the server is on its way out, and the open answers that end when its grace is over."""

from __future__ import annotations

from collections.abc import Callable

Interrupt = Callable[[], None]


class Drain:
    """`begun`: no new work is wanted. `over`: the grace has passed, what is still open is interrupted."""

    def __init__(self) -> None:
        self.begun = False
        self.over = False
        self._open: set[Interrupt] = set()

    @property
    def open(self) -> int:
        """How many answers are being worked on."""
        return len(self._open)

    def begin(self) -> None:
        """Say that the server is leaving: `/readyz` turns to 503."""
        self.begun = True

    def end(self) -> None:
        """Interrupt every open answer, and any that still comes."""
        self.begun = self.over = True
        for interrupt in list(self._open):
            interrupt()

    def enter(self, interrupt: Interrupt) -> None:
        """Register an open answer; it is interrupted at once when the grace is already over."""
        self._open.add(interrupt)
        if self.over:
            interrupt()

    def leave(self, interrupt: Interrupt) -> None:
        """Forget an answer that is done."""
        self._open.discard(interrupt)
