"""The policies in the product's order round a scripted hop, a provider that limits exactly, and a small library."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from rushhour.catalog.contract import Chunk, Collection, LexicalMatch
from rushhour.errors import Throttled
from rushhour.flow.call import Call, Event, Hop, Policy, named, stack
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.breaker import Breaker, BreakerSettings
from rushhour.flow.policies.concurrency import Concurrency
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.fallback import Fallback
from rushhour.flow.policies.pace import CostOf, Pace, PaceSettings, one_request
from rushhour.flow.policies.retry import Retry, RetrySettings
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, Match, Text, Usage
from rushhour.rag.retrieval.retrieve import Retriever
from rushhour.testing import Scripted

ROOMY = Limits(requests_per_minute=60_000, burst_s=60)


@dataclass
class Guarded:
    """A hop with its policies, and the events that they told."""

    hop: Hop[Any, Any]
    pace: Pace
    seen: list[Event] = field(default_factory=list)

    async def ask(self, request: Any = "q", tenant: str = "acme", patience: float = 600.0, **more: Any) -> Any:
        """Ask as a caller who waits `patience` seconds."""
        deadline = asyncio.get_running_loop().time() + patience
        return await self.hop(request, Call(tenant, deadline, emit=self.seen.append, **more))

    def told(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind."""
        return [event for event in self.seen if isinstance(event, kind)]


def guarded(
    hop: Hop[Any, Any],
    limits: Limits | None = None,
    *,
    in_flight: int = 1_000,
    cost: CostOf = one_request,
    others: Sequence[tuple[str, Hop[Any, Any]]] = (),
    retry: RetrySettings | None = None,
    breaker: BreakerSettings | None = None,
    max_waiting: int = 10_000,
) -> Guarded:
    """Put the policies round a hop, with chance that is the same in every run."""
    circuit = Breaker(breaker, random.Random(1))
    room = Concurrency(in_flight)
    pace = Pace(
        MemoryQuota(limits or ROOMY),
        cost,
        settings=PaceSettings(max_waiting=max_waiting),
        rng=random.Random(2),
        room=room,
    )
    policies: tuple[Policy, ...] = (
        Deadline(),
        Fallback(*others),
        Retry(retry, random.Random(3)),
        circuit,
        pace,
        room,
        circuit.watch,
    )
    return Guarded(named(stack(hop, *policies), "chat"), pace)


class LimitedProvider:
    """Answers each number with itself, and enforces its limit with a bucket that shares no code with ours."""

    def __init__(self, per_minute: float, depth_s: float) -> None:
        self._rate = per_minute / 60
        self._depth = self._rate * depth_s
        self._level, self._at = self._depth, 0.0
        self.throttled = 0

    async def __call__(self, request: int, call: Call) -> int:
        """Admit, or say when there is room again."""
        now = asyncio.get_running_loop().time()
        self._level = min(self._depth, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level < 1 - 1e-9:
            self.throttled += 1
            raise Throttled("slow down", retry_after=(1 - self._level) / self._rate)
        self._level -= 1
        return request


class Shelf:
    """A catalog of two chunks, both of which any question finds."""

    async def collection(self, name: str) -> Collection:
        """Know every collection."""
        return Collection(name, "embedder", 1)

    async def lexical(self, collection: str, query: str, top_k: int) -> list[LexicalMatch]:
        """Find both."""
        return [LexicalMatch("a", 2.0), LexicalMatch("b", 1.0)]

    async def chunks(self, collection: str, ids: Sequence[str]) -> Mapping[str, Chunk]:
        """Return what was asked for."""
        texts = {"a": "The with statement wraps a block.", "b": "A context manager has two methods."}
        return {name: Chunk(name, "with.txt", 0, texts[name], "With", source="python:with") for name in ids}


def library(embed: Hop[Text, Any] | None = None) -> Retriever:
    """Make a retriever over the shelf."""
    vector = np.ones(4, dtype=np.float32) / 2
    found = Scripted([Match("a", 0.9), Match("b", 0.5)], forever=True)
    return Retriever(Shelf(), embed or Scripted(vector, forever=True), found)  # type: ignore[arg-type]  # as much of a catalog as retrieval asks for


def written(*texts: str, pause: float = 0.0, failure: Exception | None = None) -> Callable[[Any], Stream[ChatDelta]]:
    """Make the script of a hop that streams these texts; `failure` ends the stream in place of a finish reason."""

    async def deltas() -> AsyncGenerator[ChatDelta, None]:
        for text in texts:
            yield ChatDelta(text)
            await asyncio.sleep(pause)
        if failure:
            raise failure
        yield ChatDelta("", "stop", Usage(100, 0, 20))

    def begin(_request: Any) -> Stream[ChatDelta]:
        items = deltas()
        return Stream(items, items.aclose)

    return begin


@pytest.fixture(name="guarded")
def _guarded() -> Callable[..., Guarded]:
    """Put the policies round a hop."""
    return guarded


@pytest.fixture(name="limited")
def _limited() -> Callable[..., LimitedProvider]:
    """Make a provider with an exact limit."""
    return LimitedProvider


@pytest.fixture(name="library")
def _library() -> Callable[..., Retriever]:
    """Make a retriever over two chunks."""
    return library


@pytest.fixture(name="written")
def _written() -> Callable[..., Callable[[Any], Stream[ChatDelta]]]:
    """Script a streamed answer."""
    return written
