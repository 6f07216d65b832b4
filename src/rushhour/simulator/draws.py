"""Random numbers that belong to a request: the same seed, surface and number give the same luck.

A shared generator would give a request other numbers whenever an unrelated one came first. Here each number is a
hash (the finaliser of SplitMix64: Steele, Lea and Flood 2014) of the seed, the surface, the request's number on
that surface, and what the number is for; so a new use of chance disturbs none of the old ones.
"""

from __future__ import annotations

import math
import zlib

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


class Draw:
    """The luck of one request; each purpose has its own number, and asking twice gives the same one."""

    __slots__ = ("_key",)

    def __init__(self, key: int) -> None:
        self._key = key

    def uniform(self, purpose: str, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        share = _mix(self._key ^ zlib.crc32(purpose.encode())) / (1 << 64)
        return low + share * (high - low)

    def normal(self, purpose: str) -> float:
        """Return a standard normal number (Box and Muller 1958)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform(purpose + ".radius")))
        return radius * math.cos(2.0 * math.pi * self.uniform(purpose + ".angle"))

    def hexadecimal(self, purpose: str) -> str:
        """Return 16 hexadecimal digits, for ids."""
        return f"{_mix(self._key ^ zlib.crc32(purpose.encode())):016x}"


class Draws:
    """The draws of one surface, in order of arrival."""

    def __init__(self, seed: int, surface: str) -> None:
        self._key = _mix(_mix(seed & _MASK) ^ zlib.crc32(surface.encode()))
        self._number = 0

    def next(self) -> Draw:
        """Return the draw of the next request."""
        self._number += 1
        return Draw(_mix(self._key ^ self._number))

    def restart(self) -> None:
        """Begin again with the first."""
        self._number = 0
