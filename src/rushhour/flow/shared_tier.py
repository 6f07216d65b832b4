"""A cache that all replicas share, behind the one each has for itself.

It may only ever save: while it is lost, everything is a miss, and what is written to it is written after the caller
has his reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from rushhour.errors import RushhourError
from rushhour.flow.call import Event, ignore

V = TypeVar("V")

MOST_WRITES = 1000
"""Writes under way at once; beyond that they are dropped, for a cache that lags is worth less than the memory."""


class SharedCache(Protocol):
    """Bytes by key, shared by all replicas.

    Each method returns within a moment of its own choosing; a cache that cannot be reached answers None, and forgets,
    or raises a RushhourError.
    """

    async def get(self, key: bytes) -> bytes | None:
        """Return what is kept; None means not there."""
        ...

    async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """Keep it for `ttl_s` seconds."""
        ...


class CacheLost(Event, frozen=True):
    """The shared cache could not be asked, or told; it counts as a miss."""

    cause: RushhourError


class SharedTier(Generic[V]):
    """Replies of one hop in a shared cache.

    `name` turns a key into bytes that no other hop, model or version of the format uses; `decode` returns None for
    what it cannot read. `watch` is told when the cache is lost.
    """

    def __init__(
        self,
        cache: SharedCache,
        name: Callable[[Hashable], bytes],
        encode: Callable[[V], bytes],
        decode: Callable[[bytes], V | None],
        ttl_s: float,
        *,
        hop: str = "",
        watch: Callable[[Event], None] = ignore,
    ) -> None:
        if ttl_s <= 0:
            raise ValueError(f"the shared cache's ttl_s is {ttl_s!r}; it must be more than 0 seconds")
        self._cache = cache
        self._name = name
        self._encode = encode
        self._decode = decode
        self._ttl = ttl_s
        self._hop = hop
        self._watch = watch
        self._writes: set[asyncio.Task[None]] = set()

    async def get(self, key: Hashable) -> V | None:
        """Return what is kept; None means not there, not readable, or not reachable."""
        try:
            kept = await self._cache.get(self._name(key))
        except RushhourError as cause:
            self._watch(CacheLost(self._hop, cause))
            return None
        return None if kept is None else self._decode(kept)

    def put(self, key: Hashable, value: V) -> None:
        """Keep it, in the background."""
        if len(self._writes) >= MOST_WRITES:
            return
        write = asyncio.get_running_loop().create_task(self._write(self._name(key), self._encode(value)))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)

    async def aclose(self) -> None:
        """Give up the writes that are under way."""
        writes = list(self._writes)
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)

    async def _write(self, key: bytes, value: bytes) -> None:
        try:
            await self._cache.put(key, value, self._ttl)
        except RushhourError as cause:
            self._watch(CacheLost(self._hop, cause))
