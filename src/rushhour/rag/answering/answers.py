"""Answers that were paid for, kept for whoever asks the same (rule 11), and for when no generator is left (rule 12).

Equal are questions of one tenant to one state of one collection, with the same conversation and parameters. Kept is
what was answered whole and undegraded from at least one passage.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from typing import Final

import msgspec

from rushhour.clock import unix_now
from rushhour.flow.call import Call
from rushhour.flow.policies.reuse import LruCache
from rushhour.flow.shared_tier import SharedTier
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Passage, Usage
from rushhour.rag.answering.condense import INSTRUCTIONS
from rushhour.rag.answering.prompt import RULES, WEAK
from rushhour.rag.contract import Answer, Citation, Delta, Grounding, Piece, Place, Question, Sources
from rushhour.rag.receipt import Receipt

WHOLE: Final = ("stop", "length")
"""Finish reasons of answers that asking again would not better: `length` is part of the question, as `max_tokens`."""


class KeptAnswer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is kept: `made` is in Unix seconds.

    `cited` are number, start and end of each citation, and where in the passage its support starts and ends.
    """

    made: int
    text: str
    cited: tuple[tuple[int, int, int, int, int], ...]
    passages: tuple[Passage, ...]
    finish_reason: str
    model: str
    grounding: Grounding = Grounding()

    def retold(self, receipt: Receipt) -> Answer:
        """Return the answer to another asker, who is charged nothing for it."""
        by_number = {passage.number: passage for passage in self.passages}
        citations = tuple(
            Citation(number, start, end, by_number[number], Place(since, until))
            for number, start, end, since, until in self.cited
        )
        return Answer(
            text=self.text,
            citations=citations,
            passages=self.passages,
            finish_reason=self.finish_reason,
            model=self.model,
            usage=Usage(),
            receipt=receipt.as_json(),
            grounding=self.grounding,
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(KeptAnswer)


def encode_answer(answer: KeptAnswer) -> bytes:
    """Write an answer for a cache that replicas share."""
    return _encoder.encode(answer)


def decode_answer(written: bytes) -> KeptAnswer | None:
    """Read it; None for what another version of the format has written."""
    try:
        return _decoder.decode(written)
    except msgspec.DecodeError:
        return None


class KeptAnswers:
    """The last `capacity` answers of this process, and those in the `shared` tier, by key.

    An answer is as good as new for `ttl_s` seconds; an older one is only told in place of none. `edition` returns a
    collection's state; `made_with` names everything else that shapes an answer: the models and their settings.
    """

    def __init__(
        self,
        edition: Callable[[str], Awaitable[Hashable]],
        made_with: str,
        capacity: int = 1000,
        ttl_s: float = 3600.0,
        shared: SharedTier[KeptAnswer] | None = None,
        now: Callable[[], int] = unix_now,
    ) -> None:
        self._edition = edition
        self._made_with = made_with
        self._ttl = ttl_s
        self._near = LruCache(capacity) if capacity else None
        self._shared = shared
        self._now = now

    async def key(self, question: Question, call: Call) -> bytes | None:
        """Return what equal questions have in common; None where the answer must be a new one.

        That is where the caller says so, and where a `temperature` above 0 asks for variety. Raises UnknownCollection.
        """
        if question.fresh or question.temperature:
            return None
        equal = (
            call.tenant,
            question.collection,
            await self._edition(question.collection),
            " ".join(question.text.split()),
            question.history,
            question.instructions,
            question.max_tokens,
            question.temperature,
            question.top_k,
            None if question.filters is None else repr(question.filters),
            self._made_with,
            RULES,
            WEAK,
            INSTRUCTIONS,
        )
        return hashlib.sha256(_encoder.encode(equal)).digest()

    def at_hand(self, key: bytes) -> KeptAnswer | None:
        """Return an answer that this process keeps, if it is as good as new."""
        return self._fresh(self._near.get(key) if self._near else None)

    async def fetch(self, key: bytes) -> KeptAnswer | None:
        """Return an answer that the shared tier keeps, if it is as good as new."""
        kept = self._fresh(await self._shared.get(key) if self._shared else None)
        if kept and self._near:
            self._near.put(key, kept)
        return kept

    async def last(self, key: bytes) -> KeptAnswer | None:
        """Return the last answer, however old."""
        kept: KeptAnswer | None = self._near.get(key) if self._near else None
        if kept is None and self._shared:
            kept = await self._shared.get(key)
        return kept

    def keep(self, key: bytes, answer: Answer) -> None:
        """Keep an answer, unless the next one to the same question may well be better."""
        if answer.receipt.get("degraded") or answer.finish_reason not in WHOLE or not answer.passages:
            return
        kept = KeptAnswer(
            made=self._now(),
            text=answer.text,
            cited=tuple(map(_cited, answer.citations)),
            passages=answer.passages,
            finish_reason=answer.finish_reason,
            model=answer.model,
            grounding=answer.grounding,
        )
        if self._near:
            self._near.put(key, kept)
        if self._shared:
            self._shared.put(key, kept)

    def _fresh(self, kept: KeptAnswer | None) -> KeptAnswer | None:
        return kept if kept and self._now() - kept.made < self._ttl else None


def _cited(citation: Citation) -> tuple[int, int, int, int, int]:
    support = citation.support or Place(0, len(citation.passage.text))
    return citation.number, citation.start, citation.end, support.start, support.end


def told(answer: Answer) -> Stream[Piece]:
    """Return a whole answer as a stream of its pieces."""
    return Stream(_pieces(answer))


async def _pieces(answer: Answer) -> AsyncGenerator[Piece, None]:
    yield Sources(answer.passages)
    yield Delta(answer.text)
    yield answer
