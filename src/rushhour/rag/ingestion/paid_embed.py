"""Embedding for documents: what was paid for once is taken from what is kept, and nothing is bought twice.

Files that hold the same text at the same time share it: the first to want it buys it, the others wait for that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rushhour.catalog.kept_vectors import KeptVectors, digest_of
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Hop
from rushhour.hops.contract import Text, Vector
from rushhour.rag.ingestion.patience import HOPELESS
from rushhour.rag.ingestion.room import Permits

OnVector = Callable[[bool], None]
"""Told of each text that has its vector, and whether that was bought for it just now."""


_Note = Callable[[bytes, Vector, bool], None]


class PaidEmbed:
    """Embeds passages through `embed`, one text a call; `kept` remembers them under the name `embedder`.

    Without `kept` only texts that are wanted at the same time are shared.
    """

    def __init__(self, embed: Hop[Text, Vector], embedder: str, kept: KeptVectors | None = None) -> None:
        self._embed = embed
        self.kept = kept
        self._flying: dict[bytes, asyncio.Future[Vector | None]] = {}
        self.embedder = embedder

    async def vectors(self, texts: Sequence[str], call: Call, permits: Permits, on_vector: OnVector) -> list[Vector]:
        """Return the vectors of some texts, in order; `permits` bound what is being bought at any moment.

        Raises the first error; by then all that was sent has been answered and is kept.
        """
        digests = [digest_of(text) for text in texts]
        wanted = dict(zip(digests, texts, strict=True))
        times = Counter(digests)
        found: dict[bytes, Vector] = {}

        def note(digest: bytes, vector: Vector, bought: bool) -> None:
            found[digest] = vector
            for another in range(times[digest]):
                on_vector(bought and not another)

        while missing := [digest for digest in wanted if digest not in found]:
            others = {digest: self._flying[digest] for digest in missing if digest in self._flying}
            await self._lead(
                {digest: wanted[digest] for digest in missing if digest not in others}, call, permits, note
            )
            if others:
                await asyncio.wait(others.values())
            for digest, future in others.items():
                if (vector := future.result()) is not None:
                    note(digest, vector, False)
        return [found[digest] for digest in digests]

    async def known(self, texts: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors that were paid for already."""
        if self.kept is None:
            return {}
        by_digest = {digest_of(text): text for text in texts}
        kept = await self.kept.get(self.embedder, list(by_digest))
        return {by_digest[digest]: vector for digest, vector in kept.items()}

    async def keep(self, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors for texts that they are as good for."""
        if self.kept is not None:
            await asyncio.gather(
                *(self.kept.put(self.embedder, digest_of(text), vector) for text, vector in vectors.items())
            )

    async def _lead(self, texts: Mapping[bytes, str], call: Call, permits: Permits, note: _Note) -> None:
        """Find or buy texts that nobody else is after."""
        loop = asyncio.get_running_loop()
        futures: dict[bytes, asyncio.Future[Vector | None]] = {digest: loop.create_future() for digest in texts}
        self._flying.update(futures)

        def settle(digest: bytes, vector: Vector, bought: bool) -> None:
            del self._flying[digest]
            futures.pop(digest).set_result(vector)
            note(digest, vector, bought)

        try:
            kept = await self.kept.get(self.embedder, list(texts)) if self.kept else {}
            for digest, vector in kept.items():
                settle(digest, vector, False)
            await self._buy({digest: texts[digest] for digest in futures}, call, permits, settle)
        finally:
            for digest, future in futures.items():  # whoever waits for these has to see to it himself
                del self._flying[digest]
                future.set_result(None)

    async def _buy(self, texts: Mapping[bytes, str], call: Call, permits: Permits, settle: _Note) -> None:
        failures: list[RushhourError] = []

        async def buy(digest: bytes, text: str) -> None:
            try:
                vector = await self._embed(Text(text), call)
                if self.kept is not None:
                    await self.kept.put(self.embedder, digest, vector)
            except RushhourError as cause:
                if isinstance(cause, HOPELESS):
                    permits.close(cause)
                failures.append(cause)  # not raised: that would cancel the others, whose replies are being paid for
            else:
                settle(digest, vector, True)

        async with asyncio.TaskGroup() as group:
            for digest, text in texts.items():
                try:
                    await permits.acquire()
                except RushhourError as cause:
                    failures.append(cause)
                    break
                if failures:
                    permits.release()
                    break
                # Not in a finally of `buy`: a task that is cancelled before it starts never gets there.
                group.create_task(buy(digest, text)).add_done_callback(lambda _task: permits.release())
        if failures:
            raise failures[0]
