"""The best hits become passages: near-duplicates dropped, neighbours joined, all of it within a token budget."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rushhour.catalog.contract import Chunk, Searchable
from rushhour.flow.policies.reuse import LruCache
from rushhour.hops.contract import Passage
from rushhour.rag.retrieval.duplicates import Seen
from rushhour.rag.retrieval.stretch import Stretch
from rushhour.rag.tokens import CountTokens, about_four_characters

MEASURED = 20_000
"""Chunks whose size is remembered: half a millisecond of tokenizing each."""


@dataclass(frozen=True, slots=True)
class PackSettings:
    """All in tokens: `budget` for all passages together, `longest` for one that is joined of several hits.

    A passage below `short` is continued with what stands next to it in its document, up to `filled`: a hit that ends
    where the answer begins is worth little.
    """

    budget: int = 4000
    longest: int = 1000
    short: int = 150
    filled: int = 300


class Packer:
    """Packs ranked chunks; `count` measures them, in a thread unless it is the estimate."""

    def __init__(self, catalog: Searchable, settings: PackSettings, count: CountTokens = about_four_characters) -> None:
        self._catalog = catalog
        self._settings = settings
        self._count = count
        self._measured = LruCache(MEASURED)

    async def __call__(self, collection: str, ranked: Sequence[tuple[Chunk, float]], top_k: int) -> list[Passage]:
        """Return passages of the first `top_k` hits, best first, that together fit the budget; at least one."""
        sizes = await self._sizes([chunk for chunk, _score in ranked])
        stretches = _joined(ranked, sizes, top_k, self._settings)
        fitting = _fitting(stretches, self._settings.budget)
        await self._continue(collection, fitting)
        return [stretch.passage(number) for number, stretch in enumerate(fitting, 1)]

    async def _sizes(self, chunks: Sequence[Chunk]) -> dict[str, int]:
        """Measure chunks by id; an id stands for its text, so what was measured once is known."""
        if self._count is about_four_characters:
            return {chunk.id: self._count(chunk.text) for chunk in chunks}
        sizes: dict[str, int | None] = {chunk.id: self._measured.get(chunk.id) for chunk in chunks}
        new = [chunk for chunk in chunks if sizes[chunk.id] is None]
        if new:
            counted = await asyncio.to_thread(lambda: [self._count(chunk.text) for chunk in new])
            for chunk, size in zip(new, counted, strict=True):
                sizes[chunk.id] = size
                self._measured.put(chunk.id, size)
        return {name: size or 0 for name, size in sizes.items()}

    async def _continue(self, collection: str, stretches: Sequence[Stretch]) -> None:
        """Let short passages grow into what is left of the budget, the best first."""
        left = self._settings.budget - sum(stretch.tokens for stretch in stretches)
        short = [stretch for stretch in stretches if stretch.mapped and stretch.tokens < self._settings.short]
        if not short or left <= 0:
            return
        taken = {(part.file, part.position) for stretch in stretches for part in stretch.parts}
        places = [place for stretch in short for place in stretch.beside() if place not in taken]
        beside = {(found.file, found.position): found for found in await self._catalog.at(collection, places)}
        sizes = await self._sizes(list(beside.values()))
        for stretch in short:
            for place in stretch.beside():
                neighbour = beside.pop(place, None)
                if neighbour is None:
                    continue
                grown = stretch.with_part(neighbour, sizes[neighbour.id])
                if grown and grown.tokens <= self._settings.filled and grown.tokens - stretch.tokens <= left:
                    left -= grown.tokens - stretch.tokens
                    stretch.become(grown)


def _joined(
    ranked: Sequence[tuple[Chunk, float]], sizes: dict[str, int], top_k: int, settings: PackSettings
) -> list[Stretch]:
    """Return the stretches of text that the first `top_k` chunks make, each at the place of its best one.

    Joined chunks count as several: who reads has to pay for their tokens all the same.
    """
    stretches: list[Stretch] = []
    seen, hits = Seen(), 0
    for chunk, score in ranked:
        if not seen.add(chunk.text):
            _prefer_nearer(stretches, chunk)
            continue
        if hits == top_k:
            break
        hits += 1
        single = Stretch.of(chunk, sizes[chunk.id], score)
        if not _attach(stretches, single, settings.longest):
            stretches.append(single)
    return stretches


def _attach(stretches: list[Stretch], single: Stretch, longest: int) -> bool:
    """Join a hit to the stretches it stands next to, as far as they stay short enough."""
    home: Stretch | None = None
    for stretch in list(stretches):
        joined = stretch.joined(home or single)
        if joined is None or joined.tokens > longest:
            continue
        if home is not None:  # the hit closes the gap between two
            stretches.remove(stretch)
            home.become(joined)
        else:
            stretch.become(joined)
            home = stretch
    return home is not None


def _prefer_nearer(stretches: Sequence[Stretch], chunk: Chunk) -> None:
    """Of two chunks with the same text, show the one whose document is more about it: nearer to its title."""
    for stretch in stretches:
        shown = stretch.parts[0]
        alone = len(stretch.parts) == 1 and shown.text == chunk.text
        if alone and len(chunk.heading) < len(shown.heading):
            stretch.become(Stretch.of(chunk, stretch.tokens, stretch.score))


def _fitting(stretches: list[Stretch], budget: int) -> list[Stretch]:
    for count, stretch in enumerate(stretches):
        budget -= stretch.tokens
        if budget < 0:
            return stretches[: max(count, 1)]
    return stretches
