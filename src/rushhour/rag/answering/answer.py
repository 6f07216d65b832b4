"""The way of a query: retrieve, prompt, generate, check the citations, account for it. One pass, no going back."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from rushhour.errors import InvalidRequest, Refusal, RushhourError, TruncatedStream
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.policies.fallback import Degraded, is_down
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Chat, ChatDelta, ChatRequest, Usage
from rushhour.hops.extractive import EXTRACTIVE
from rushhour.rag.answering.answers import KeptAnswers, told
from rushhour.rag.answering.cite import CitationChecker
from rushhour.rag.answering.condense import Condenser
from rushhour.rag.answering.find import Finder, Found, Judge
from rushhour.rag.answering.pressure import Pressure
from rushhour.rag.answering.prompt import prompt
from rushhour.rag.contract import Answer, Delta, Grounding, Piece, Question, Sources
from rushhour.rag.receipt import Price, Receipt
from rushhour.rag.retrieval.retrieve import Retriever

NOTHING_FOUND = "The documents of this collection do not say anything about that."

CHAT = "chat"
"""The generator's name in events and receipts."""


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """`max_tokens` bounds an answer; `max_question` is in characters."""

    max_tokens: int = 512
    max_question: int = 16_000


class Answerer:
    """The engine behind every door: a question becomes a stream of pieces.

    `model` names what `chat` asks first. When every model of it is down, an answer that was `kept` for an equal
    question stands in, however old, then `last_resort`. `pressure` admits questions by the generator's queue, and
    reduces what is asked of it in a rush. `condense` makes follow-up questions stand alone, and `judge` says when what
    was found may not hold the answer; then the generator is told so.
    """

    def __init__(
        self,
        retrieve: Retriever,
        chat: Hop[ChatRequest, Stream[ChatDelta]],
        model: str,
        prices: Mapping[str, Price],
        settings: AnswerSettings | None = None,
        *,
        pressure: Pressure | None = None,
        kept: KeptAnswers | None = None,
        last_resort: Chat | None = None,
        condense: Condenser | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._retrieve = retrieve
        self._find = Finder(retrieve, condense or Condenser(), judge)
        self._chat = chat
        self._model = model
        self._prices = prices
        self._settings = settings or AnswerSettings()
        self._pressure = pressure
        self._kept = kept
        self._last_resort = last_resort

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        """Return once the first words are there; whatever fails before that raises here.

        Raises UnknownCollection, InvalidRequest, Refusal, DeadlineExceeded, or UpstreamError when every generator
        failed.
        """
        self._validate(request)
        receipt = Receipt(self._prices)
        call = call.telling(_both(receipt, call))
        found, asked = await self._prepare(request, call)
        if not asked.passages:
            return Stream(self._nothing(receipt))
        begun = asyncio.get_running_loop().time()
        try:
            reply = await self._chat(asked, call)  # waits for the first words
        except RushhourError as cause:
            # Who was let in at the door is not turned away because the queue has become longer since.
            if not is_down(cause) and not (self._pressure and isinstance(cause, Refusal)):
                raise
            return await self._without_model(found, asked, call, receipt, cause)
        if self._pressure:
            reply.on_close(partial(_learn, self._pressure, begun, reply, receipt))
        return self._told(reply, found, asked, receipt)

    async def _prepare(self, request: Question, call: Call) -> tuple[Found, ChatRequest]:
        """Find passages and build the prompt, unless the generator could not be reached in time anyway."""
        max_tokens = request.max_tokens or self._settings.max_tokens
        pressure = self._pressure
        if not pressure:
            found = await self._find(request, call)
            return found, found.prompt(max_tokens)
        await self._retrieve.edition(request.collection)  # an unknown one is told before any refusal
        loop = asyncio.get_running_loop()
        begun = loop.time()
        bare, at_chat = prompt(request, (), max_tokens), call.at(CHAT)
        admitted = pressure.admit(bare, at_chat)
        with admitted.place:
            found = await self._find(request, call, hurried=admitted.pressed)
            asked = found.prompt(max_tokens)
        pressure.prepared(bare, asked, loop.time() - begun)
        return found, pressure.reduced(asked, request, at_chat) if admitted.pressed and asked.passages else asked

    async def _without_model(
        self, found: Found, asked: ChatRequest, call: Call, receipt: Receipt, cause: RushhourError
    ) -> Stream[Piece]:
        """Answer although every model is down: with what was answered before, or with quotations."""
        if self._kept and (key := await self._kept.key(found.question, call)) and (kept := await self._kept.last(key)):
            call.emit(Degraded(CHAT, "cached_answer", cause, kept.model))
            receipt.reuse("cache")
            return told(kept.retold(receipt))
        if not self._last_resort:
            raise cause
        reply = await self._last_resort(asked, call)
        call.emit(Degraded(CHAT, "extractive", cause, self._last_resort.model))
        return self._told(reply, found, asked, receipt)

    def _told(self, reply: Stream[ChatDelta], found: Found, asked: ChatRequest, receipt: Receipt) -> Stream[Piece]:
        pieces = self._pieces(reply, found, asked, receipt)

        async def close() -> None:
            await reply.aclose()
            await pieces.aclose()

        stream = Stream(pieces, close)
        # Each wait is bounded once, and by whoever reads: an answer with several readers has several deadlines.
        stream.deadline, reply.deadline = reply.deadline, math.inf
        return stream

    def _validate(self, request: Question) -> None:
        if not request.text.strip():
            raise InvalidRequest("The question is empty; send some text.", param="messages")
        if len(request.text) > self._settings.max_question:
            raise InvalidRequest(
                f"The question has {len(request.text)} characters; at most {self._settings.max_question} are accepted.",
                param="messages",
            )

    async def _pieces(
        self, reply: Stream[ChatDelta], found: Found, asked: ChatRequest, receipt: Receipt
    ) -> AsyncGenerator[Piece, None]:
        yield Sources(asked.passages)
        checker = CitationChecker(asked.passages)
        finish_reason, usage = None, Usage()
        async for delta in reply:
            finish_reason = delta.finish_reason or finish_reason
            usage = delta.usage or usage
            if checked := checker.feed(delta.text):
                yield Delta(checked)
        if finish_reason is None:
            raise TruncatedStream("The answer ended without a finish reason; ask again.")
        if rest := checker.finish():
            yield Delta(rest)
        model, citations = receipt.by or self._model, checker.citations()
        yield Answer(
            text=checker.text,
            citations=citations,
            passages=asked.passages,
            finish_reason=finish_reason,
            model=model,
            usage=usage,
            receipt=receipt.as_json(),
            grounding=found.grounding(cited=len(citations), invalid=checker.invalid, quoted=model == EXTRACTIVE),
        )

    async def _nothing(self, receipt: Receipt) -> AsyncGenerator[Piece, None]:
        """Say honestly that retrieval found nothing, without paying anybody for saying it."""
        yield Sources(())
        yield Delta(NOTHING_FOUND)
        nothing = Grounding(not_found=True)
        yield Answer(NOTHING_FOUND, (), (), "stop", self._model, Usage(), receipt.as_json(), nothing)


def _learn(
    pressure: Pressure, begun: float, reply: Stream[ChatDelta], receipt: Receipt, failure: BaseException | None
) -> None:
    """Learn how long a whole answer takes; one that is left early tells nothing."""
    if failure is None and reply.whole:
        pressure.answered(asyncio.get_running_loop().time() - begun, receipt.waited_for(CHAT))


def _both(receipt: Receipt, call: Call) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        receipt.record(event)
        call.emit(event)

    return tell
