"""The simulated chat API as direct calls reach it: no JSON, no token events, no headers to write and to read.

Limits, charging, latency, faults, the queue and the ledger are the simulator's own. A call that a fault strikes, or
that is refused, is answered in writing after all, so that the real adapter meets it.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

from rushhour.flow.allowance import Allowance, LimitHeaders
from rushhour.hops.contract import ChatRequest
from rushhour.rehearse.virtual.loop import pause
from rushhour.simulator.answering import Answerer
from rushhour.simulator.chat import Chat
from rushhour.simulator.durations import to_the_millisecond
from rushhour.simulator.exchange import Reply, Request, Visit
from rushhour.simulator.generation import Asked, LanguageModel, Said, Turn
from rushhour.simulator.limiter import Level, RateLimiter
from rushhour.simulator.profiles import ChatProfile
from rushhour.simulator.quota import Customer, Quota

_encode = msgspec.json.Encoder().encode


class DirectRequest(Request):
    """A chat call that was not written down: `model` and `prompt` say what its body would.

    `limits` is what the headers of its reply would state.
    """

    model: str = ""
    prompt: ChatRequest | None = None
    limits: LimitHeaders | None = None

    def write_down(self) -> None:
        """Make the body that the real adapter would have sent."""
        assert self.prompt is not None  # noqa: S101  # whoever makes one gives it
        turns = [{"role": turn.role, "content": turn.content} for turn in self.prompt.messages]
        options = {"stream": True, "stream_options": {"include_usage": True}, "max_tokens": self.prompt.max_tokens}
        self.body = _encode({"model": self.model, "messages": turns, **options})


class Words(NamedTuple):
    """An answer's first chunk and the rest, and the characters of both."""

    first: str
    rest: str
    size: int


class DirectReply(Reply):
    """An answer that was not written down either."""

    said: Said | None = None
    words: Words | None = None


class DirectQuota(Quota):
    """`Quota` that tells a direct call its limits in numbers: what headers would state, to the millisecond."""

    def written(self, visit: Visit, customer: Customer, model: str) -> dict[str, str]:
        """Return the headers that a written reply has."""
        return super()._headers(visit, customer, self._limiter(customer, model))

    def _headers(self, visit: Visit, customer: Customer, limiter: RateLimiter) -> dict[str, str]:
        request = visit.request
        if not isinstance(request, DirectRequest) or visit.entry.fault:
            return super()._headers(visit, customer, limiter)
        now = asyncio.get_running_loop().time()
        request.limits = LimitHeaders(
            _allowance(limiter.level("requests", now)), _allowance(limiter.level("tokens", now))
        )
        return {}


class DirectModel(LanguageModel):
    """A language model that finds an answer once, however often it is asked the same."""

    def __init__(self, profile: ChatProfile, quota: Quota, answerer: Answerer) -> None:
        super().__init__(profile, quota, answerer)
        self._found: dict[tuple[int | None, str], tuple[Said, Words]] = {}

    def words(self, asked: Asked) -> Words:
        """Return what was said to that."""
        return self._found[_key(asked)][1]

    def _say(self, asked: Asked, prompt_tokens: int, cached: int, rate: float) -> Said:
        found = self._found.get(_key(asked))
        if found is None:
            said = super()._say(asked, prompt_tokens, cached, rate)
            found = self._found[_key(asked)] = said, _words(said)
        known = found[0]
        return Said(known.pieces, known.complete, prompt_tokens, cached, rate, known.chunk)


class DirectChatSurface(Chat):
    """The simulated chat API, which takes direct calls beside written ones."""

    def __init__(self, profile: ChatProfile, quota: DirectQuota, answerer: Answerer) -> None:
        super().__init__(profile, quota, answerer)
        self._direct_quota = quota
        self._loop = asyncio.get_running_loop()
        self._model = self._direct_model = DirectModel(profile, quota, answerer)

    async def complete(self, visit: Visit) -> Reply:
        """Answer one request."""
        request = visit.request
        if not isinstance(request, DirectRequest) or request.prompt is None:
            return await super().complete(visit)
        if visit.entry.fault:
            request.write_down()
            return await super().complete(visit)
        customer = self._quota.customer(visit)
        if isinstance(customer, Reply):
            return customer
        turns = [Turn(turn.role, turn.content) for turn in request.prompt.messages]
        asked = Asked(request.model, turns, request.prompt.max_tokens)
        said = self._model.begin(visit, customer, asked)
        if isinstance(said, Reply):
            said.headers.update(self._direct_quota.written(visit, customer, request.model))
            return said
        first_chunk_s = said.chunk / said.rate
        await pause(self._loop, self._model.thinks_s(visit, said) + first_chunk_s)
        return DirectReply(said=said, words=self._direct_model.words(asked))


def _key(asked: Asked) -> tuple[int | None, str]:
    return asked.ceiling, asked.turns[-1].text


def _words(said: Said) -> Words:
    first, rest = "".join(said.pieces[: said.chunk]), "".join(said.pieces[said.chunk :])
    return Words(first, rest, len(first) + len(rest))


def _allowance(level: Level) -> Allowance:
    return Allowance(level.limit, level.remaining, to_the_millisecond(level.reset_s) / 1000)
