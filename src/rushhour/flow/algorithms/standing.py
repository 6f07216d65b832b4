"""Whether a queue stands: everybody in it is served too late, so that waiting helps nobody.

A queue that empties now and then absorbs a burst, and is good. One that never does only adds delay: whoever reaches its
head has waited so long that his time is up, and the work done for him is wasted, for all in turn. CoDel (Nichols,
Jacobson 2012) notices it by time spent in the queue above a target for a whole interval; here the target is each
call's own deadline. What to do about it (serve the newest first) is the caller's business. Times are seconds of any
monotonic clock.
"""

from __future__ import annotations

import math

SILENCE = 4
"""After so many intervals without an outcome, what was before tells nothing of now."""


class StandingQueue:
    """True once every outcome for `interval_s` was late, until one is not late after that has held for an interval.

    So an interval of newest-first service passes before one call in time can end it: newest-first makes calls be in
    time, and would otherwise switch itself off with its first success.
    """

    def __init__(self, interval_s: float = 1.0) -> None:
        if not 0 < interval_s < math.inf:
            raise ValueError(f"interval_s is {interval_s!r}; it must be a positive number of seconds")
        self._interval = interval_s
        self._late_since: float | None = None
        self._standing_since: float | None = None
        self._noted_at = -math.inf

    def note(self, now: float, late: bool) -> None:
        """Count a call that left the queue.

        It was late if its deadline had passed before its turn, or if less time was left than the upstream needs.
        """
        if self._is_silent(now):
            self._late_since = self._standing_since = None
        self._noted_at = now
        if late:
            self._note_late(now)
        elif self._standing_since is None or now - self._standing_since >= self._interval:
            self._late_since = self._standing_since = None

    def standing(self, now: float) -> bool:
        """Whether the queue stands; a silence ends it, since nobody waits then."""
        return self._standing_since is not None and not self._is_silent(now)

    def _note_late(self, now: float) -> None:
        if self._late_since is None:
            self._late_since = now
        elif self._standing_since is None and now - self._late_since >= self._interval:
            self._standing_since = now

    def _is_silent(self, now: float) -> bool:
        return not 0 <= now - self._noted_at <= SILENCE * self._interval
