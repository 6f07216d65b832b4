"""A cache that all replicas share: a lost Redis is a miss, never an error."""

from __future__ import annotations

import hashlib

from rushhour.flow.ledger.coalescer import Coalescer, Command, Lost, Refused

LARGEST_BYTES = 1 << 20


class SharedCache:
    """Bytes by key, for a time; `hits`, `misses` and `unkept` count what came of it.

    Keys may be of any length: Redis sees a digest of them. Values above `largest` bytes are not kept. How much is kept
    in all is for Redis' `maxmemory` and its eviction policy to say; every entry ends by itself.
    """

    def __init__(self, coalescer: Coalescer, prefix: str, largest: int = LARGEST_BYTES) -> None:
        self._coalescer = coalescer
        self._prefix = prefix
        self._largest = largest
        self.hits = 0
        self.misses = 0
        self.unkept = 0

    async def get(self, key: bytes) -> bytes | None:
        """Return what is kept, or None: not there, ended, or Redis is out of reach."""
        value = await self._exchange(Command(("GET", self._name(key))))
        if not isinstance(value, bytes):
            self.misses += 1
            return None
        self.hits += 1
        return value

    async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """Keep a value for so many seconds, if Redis takes it. ValueError for a time that is not positive."""
        if not 0 < ttl_s < 1e10:
            raise ValueError(f"ttl_s is {ttl_s!r}; it must be a positive number of seconds")
        milliseconds = str(max(int(ttl_s * 1000), 1))
        fits = len(value) <= self._largest
        if not fits or not await self._exchange(Command(("SET", self._name(key), value, "PX", milliseconds))):
            self.unkept += 1

    def _name(self, key: bytes) -> str:
        return self._prefix + hashlib.blake2b(key, digest_size=20).hexdigest()

    async def _exchange(self, command: Command) -> object:
        answer = self._coalescer.submit(command, urgent=False)
        if answer is None:
            return None
        try:
            return await answer
        except (Lost, Refused):
            return None
