"""The way of a query: retrieve, prompt, generate, check the citations, account for it. One pass, no going back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace

from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Passage, Usage
from rushhour.rag.cite import CitationChecker
from rushhour.rag.contract import Answer, Delta, Piece, Question, Sources
from rushhour.rag.prompt import prompt
from rushhour.rag.receipt import Price, Receipt
from rushhour.rag.retrieve import Retriever

NOTHING_FOUND = "The documents of this collection do not say anything about that."


@dataclass(frozen=True, slots=True)
class AnswerSettings:
    """`max_tokens` bounds an answer; `max_question` is in characters."""

    max_tokens: int = 512
    max_question: int = 16_000


class Answerer:
    """The engine behind every door: a question becomes a stream of pieces."""

    def __init__(
        self,
        retrieve: Retriever,
        chat: Hop[ChatRequest, Stream[ChatDelta]],
        model: str,
        prices: Mapping[str, Price],
        settings: AnswerSettings | None = None,
    ) -> None:
        self._retrieve = retrieve
        self._chat = chat
        self._model = model
        self._prices = prices
        self._settings = settings or AnswerSettings()

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        """Return once the first words are there; whatever fails before that raises here.

        Raises UnknownCollection, InvalidRequest, Refusal, DeadlineExceeded, or UpstreamError when every generator
        failed.
        """
        self._validate(request)
        receipt = Receipt(self._prices)
        call = replace(call, emit=_both(receipt, call))
        passages = tuple(await self._retrieve(request.collection, request.text, call, request.top_k))
        if not passages:
            return Stream(self._nothing(receipt))
        reply = await self._chat(prompt(request, passages, self._settings.max_tokens), call)
        pieces = self._pieces(reply, passages, receipt)

        async def close() -> None:
            await reply.aclose()
            await pieces.aclose()

        return Stream(pieces, close)

    def _validate(self, request: Question) -> None:
        if not request.text.strip():
            raise InvalidRequest("The question is empty; send some text.", param="messages")
        if len(request.text) > self._settings.max_question:
            raise InvalidRequest(
                f"The question has {len(request.text)} characters; at most {self._settings.max_question} are accepted.",
                param="messages",
            )

    async def _pieces(
        self, reply: Stream[ChatDelta], passages: tuple[Passage, ...], receipt: Receipt
    ) -> AsyncGenerator[Piece, None]:
        yield Sources(passages)
        checker = CitationChecker(passages)
        finish_reason, usage = "stop", Usage()
        async for delta in reply:
            finish_reason = delta.finish_reason or finish_reason
            usage = delta.usage or usage
            if checked := checker.feed(delta.text):
                yield Delta(checked)
        if rest := checker.finish():
            yield Delta(rest)
        yield Answer(
            text=checker.text,
            citations=checker.citations(),
            passages=passages,
            finish_reason=finish_reason,
            model=self._model,
            usage=usage,
            receipt=receipt.as_json(),
        )

    async def _nothing(self, receipt: Receipt) -> AsyncGenerator[Piece, None]:
        """Say honestly that retrieval found nothing, without paying anybody for saying it."""
        yield Sources(())
        yield Delta(NOTHING_FOUND)
        yield Answer(NOTHING_FOUND, (), (), "stop", self._model, Usage(), receipt.as_json())


def _both(receipt: Receipt, call: Call) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        receipt.record(event)
        call.emit(event)

    return tell
