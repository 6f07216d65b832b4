"""Passages that say what another one says already."""

from __future__ import annotations

from typing import Final

WORDS: Final = 5
SAMPLES: Final = 20
CONTAINED: Final = 0.9


class Seen:
    """Takes texts in, but none that is a part of an earlier one, up to small differences.

    That is so if 0.9 of its runs of five words stand in the other. Twenty runs, evenly spaced, are looked at: most
    texts are told apart by the first three, so it costs some microseconds a pair.
    """

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, text: str) -> bool:
        """Take a text in; False if an earlier one says the same, and perhaps more."""
        words = text.lower().split()
        plain = f" {' '.join(words)} "  # a blank on each side of every word
        samples = _samples(words)
        if any(_contained(samples, other) for other in self._texts):
            return False
        self._texts.append(plain)
        return True


def _samples(words: list[str]) -> list[str]:
    runs = max(1, len(words) - WORDS + 1)
    count = min(runs, SAMPLES)
    starts = [place * runs // count for place in range(count)]
    return [f" {' '.join(words[start : start + WORDS])} " for start in starts]


def _contained(samples: list[str], text: str) -> bool:
    spare = round((1 - CONTAINED) * len(samples))
    for sample in samples:
        if sample not in text:
            spare -= 1
            if spare < 0:
                return False
    return True
