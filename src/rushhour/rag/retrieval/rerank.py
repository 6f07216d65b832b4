"""Reranking: a model reads question and passage together; it steps aside when time is short."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from rushhour.catalog.contract import Chunk
from rushhour.errors import (
    AttemptTimeout,
    DeadlineExceeded,
    QueueFull,
    Refusal,
    RushhourError,
    UpstreamError,
    WouldMissDeadline,
)
from rushhour.flow.algorithms.recent import Recent
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.pace import Admitted
from rushhour.hops.contract import RerankRequest
from rushhour.rag.chunking.chunk import embedding_text

NO_RERANK: Final = "no_rerank"
FADES: Final = 0.98
"""What is left of the learned time each time nobody is asked because of it: else one slow hour would be believed for
ever. A call that is tried too early is cut short in time, so it costs the answer nothing but a wait."""

SURE: Final = 10.0
"""Log-odds beyond which a model's opinion counts no more."""


@dataclass(frozen=True, slots=True)
class RerankingSettings:
    """The first `candidates` of a ranking are read again; `weight` is the reranker's part of a score, in [0, 1].

    However much time an answer has, it waits `patience_s` for this at most, queue and retries included.
    Measured with the local models on 1,190 questions to 240 paragraphs, MRR@10 is .975 before, .986 with 3 candidates,
    .988 with 8 and with more. The old score's tenth decides where the reranker sees no difference; it costs nothing.
    """

    candidates: int = 10
    weight: float = 0.9
    patience_s: float = 5.0


class Reranker:
    """Orders the first of a ranking anew by what a model thinks of them, blended with the scores they have.

    It is not asked where the generator would be left with too little time: `wait` predicts its queue, what it takes
    beyond is learned, and `needed` says what the generator takes; all in seconds. Nor can it fail an answer: the order
    stands as it was, and Degraded says so.
    """

    def __init__(
        self,
        rerank: Hop[RerankRequest, list[float]],
        settings: RerankingSettings | None = None,
        wait: Callable[[RerankRequest, Call], float] = lambda _request, _call: 0.0,
        needed: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._rerank = rerank
        self._settings = settings or RerankingSettings()
        self._wait = wait
        self._needed = needed
        self._takes = Recent()
        self.candidates = self._settings.candidates

    async def __call__(
        self, question: str, ranked: Sequence[tuple[Chunk, float]], call: Call
    ) -> list[tuple[Chunk, float]]:
        """Return the same chunks, best first; what was not read again has no part of its score from the reranker."""
        if not ranked:
            return []
        request = RerankRequest(question, tuple(embedding_text(chunk) for chunk, _ in ranked[: self.candidates]))
        try:
            relevances = await self._in_time(request, call)
        except (UpstreamError, Refusal, DeadlineExceeded) as cause:
            self._stand_aside(cause, call)
            return list(ranked)
        weight = self._settings.weight
        relevances = relevances + [0.0] * (len(ranked) - len(relevances))
        blended = [
            (chunk, weight * _evidence(relevance) + (1 - weight) * score)
            for (chunk, score), relevance in zip(ranked, relevances, strict=True)
        ]
        return sorted(blended, key=lambda hit: -hit[1])

    async def _in_time(self, request: RerankRequest, call: Call) -> list[float]:
        """Ask, and leave the generator its time; raises WouldMissDeadline where that cannot be.

        Where nobody's patience would do, it is another error, for it says nothing of this caller's deadline.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        patience = begun + self._settings.patience_s
        latest = min(call.deadline - self._needed(), patience)
        self._check_time(begun + self._wait(request, call) + self._takes.value, latest, patience)
        waited = _Waited(call)
        try:
            scores = await self._rerank(request, structs.replace(call, deadline=latest, emit=waited))
        except DeadlineExceeded as cause:
            self._takes.add(max(clock() - begun - waited.seconds, self._takes.value))  # it takes that long at least
            if latest < patience:
                raise
            raise AttemptTimeout(f"Reranking took longer than {self._settings.patience_s:g} s.") from cause
        self._takes.add(clock() - begun - waited.seconds)
        return scores

    def _check_time(self, done: float, latest: float, patience: float) -> None:
        """Raise a refusal if it would be done too late: for this caller, or for anybody."""
        if done <= latest:
            return
        self._takes.value *= FADES
        if latest < patience:
            raise WouldMissDeadline("Reranking would take time that the generator needs.", retry_after=done - latest)
        raise QueueFull(f"Reranking would take longer than {self._settings.patience_s:g} s.", retry_after=done - latest)

    def _stand_aside(self, cause: RushhourError, call: Call) -> None:
        """Say that the order stands; raises the cause if the answer's own time is up."""
        if call.deadline <= asyncio.get_running_loop().time():
            raise cause
        call.emit(Degraded("rerank", NO_RERANK, cause))


def _evidence(relevance: float) -> float:
    """Return the log-odds of a relevance, from -10 to 10, as a fraction.

    Models answer 0.999 to whatever looks right; only the odds still tell which of two is better, and only they can be
    weighed against another score.
    """
    if not 0 < relevance < 1:
        return min(max(relevance, 0.0), 1.0)
    return (min(max(math.log(relevance / (1 - relevance)), -SURE), SURE) + SURE) / (2 * SURE)


class _Waited:
    """Passes a call's events on, and sums up for how long it queued."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.seconds = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Admitted):
            self.seconds += event.waited
        self._call.emit(event)
