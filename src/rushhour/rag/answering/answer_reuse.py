"""Equal questions are answered once: from what is kept, or along with whoever is being answered now (rule 11).

Stands round the engine. A question that nobody asked before is answered in a flight of its own, which ends when the
last who follows it leaves; whoever joins late gets the beginning at once. Where the answer must be a new one, nothing
stands between the engine and its caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from msgspec import structs

from rushhour.errors import DeadlineExceeded, Refusal
from rushhour.flow.call import Call, Event
from rushhour.flow.policies.pace import Queued
from rushhour.flow.policies.reuse import Reused
from rushhour.flow.replay import Broadcast
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Usage
from rushhour.rag.answering.answers import KeptAnswers, told
from rushhour.rag.contract import Answer, Ask, Piece, Question
from rushhour.rag.receipt import ANSWER, Receipt


class AnswerReuse:
    """The engine with a memory. Each caller's receipt says `reused` if the answer was not made for this question.

    A reused answer cost nothing, so its usage is 0; whoever was first has the full account.
    """

    def __init__(self, engine: Ask, kept: KeptAnswers) -> None:
        self._engine = engine
        self._kept = kept
        self._flights: dict[bytes, _Flight] = {}

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        """Return once the first words are there; whatever fails before that raises here, as the engine does."""
        key = await self._kept.key(request, call)
        if key is None:
            return await self._engine(request, call)
        if (kept := self._kept.at_hand(key)) is not None:
            call.emit(Reused(ANSWER, "cache"))
            return told(kept.retold(_free("cache")))
        while (flight := self._flights.get(key)) is not None and flight.live:
            try:
                return await flight.follow(call)
            except (DeadlineExceeded, Refusal):
                # Whoever began it had less patience than we have.
                if call.deadline <= asyncio.get_running_loop().time():
                    raise
        return await self._depart(key, request, call).lead()

    @property
    def in_flight(self) -> int:
        """How many answers are being made that others may join."""
        return len(self._flights)

    async def aclose(self) -> None:
        """End all flights; whoever still follows one gets TruncatedStream."""
        await asyncio.gather(*(flight.aclose() for flight in list(self._flights.values())))

    def _depart(self, key: bytes, request: Question, call: Call) -> _Flight:
        flight = self._flights[key] = _Flight(self._engine, self._kept, key, request, call)

        def landed() -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]

        flight.then(landed)
        return flight


class _Flight:
    """One answer on its way, led by the call that began it."""

    def __init__(self, engine: Ask, kept: KeptAnswers, key: bytes, request: Question, call: Call) -> None:
        self._engine = engine
        self._kept = kept
        self._key = key
        self._request = request
        self._call = call
        self._how = "in_flight"
        self._news: tuple[float, Queued] | None = None
        self._listening: list[Callable[[Event], None]] = []
        self._broadcast: Broadcast[Piece] = Broadcast(self._begin)
        self.then = self._broadcast.then
        self.aclose = self._broadcast.aclose

    @property
    def live(self) -> bool:
        """Whether it may be joined."""
        return self._broadcast.live

    async def lead(self) -> Stream[Piece]:
        """Return the answer to the one who is charged for it, if anybody is."""
        stream = await self._broadcast.join(self._call.deadline)
        if self._how == "cache":
            self._call.emit(Reused(ANSWER, "cache"))
        return stream

    async def follow(self, call: Call) -> Stream[Piece]:
        """Return the answer to somebody who asked the same; how the queue stands is told to all who wait."""
        begun = asyncio.get_running_loop().time()
        self._listening.append(call.emit)
        self._tell_last_news(call, begun)
        waited = 0.0

        def retold(piece: Piece) -> Piece:
            if not isinstance(piece, Answer):
                return piece
            receipt = _free(self._how, waited, piece.receipt.get("degraded", ()))
            return structs.replace(piece, usage=Usage(), receipt=receipt.as_json())

        try:
            stream = await self._broadcast.join(call.deadline, retold)
        finally:
            self._listening.remove(call.emit)
        waited = asyncio.get_running_loop().time() - begun
        call.emit(Reused(ANSWER, self._how))
        return stream

    async def _begin(self) -> Stream[Piece]:
        if (kept := await self._kept.fetch(self._key)) is not None:
            self._how = "cache"
            return told(kept.retold(_free(self._how)))
        stream = await self._engine(self._request, self._call.telling(self._emit))
        stream.on_close(self._keep)
        return stream

    def _keep(self, _error: BaseException | None) -> None:
        items = self._broadcast.items
        if items and isinstance(last := items[-1], Answer):
            self._kept.keep(self._key, last)

    def _emit(self, event: Event) -> None:
        """Tell the one who is charged everything, and those who wait along how the queue stands."""
        self._call.emit(event)
        if isinstance(event, Queued):
            self._news = (asyncio.get_running_loop().time(), event)
            for emit in self._listening:
                emit(event)

    def _tell_last_news(self, call: Call, now: float) -> None:
        if self._news and not self._broadcast.opened:
            told_at, queued = self._news
            call.emit(structs.replace(queued, eta=max(0.0, queued.eta - (now - told_at))))


def _free(how: str, waited: float = 0.0, degraded: Iterable[str] = ()) -> Receipt:
    """Account for an answer that was not made for this question: nothing was spent on it but time."""
    receipt = Receipt(degraded=list(degraded))
    receipt.reuse(how, waited)
    return receipt
