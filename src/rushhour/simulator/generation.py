"""The simulated language model behind every API that shows it: what it charges, says, and how fast.

Chat completions and responses are two shapes of one model, so they share its limits, its queue and its speed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

import msgspec

from rushhour.simulator import openai_errors, tokens
from rushhour.simulator.answering import Answerer
from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.profiles import UNLISTED, ChatProfile
from rushhour.simulator.prompt_cache import SHORTEST, PromptCache
from rushhour.simulator.quota import Customer, Quota

EVENT_STREAM: Mapping[str, str] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
}
"""The headers of an answer that streams."""
_TURN_TOKENS = 4
_REPLY_TOKENS = 3


class Turn(msgspec.Struct, frozen=True):
    """One message of a conversation: who speaks, and what."""

    role: str
    text: str


class Asked(msgspec.Struct, frozen=True):
    """What a model is asked: its name, the conversation, at most how many tokens, and where to stop.

    `ceiling_name` is the API's own name of the ceiling, for its errors.
    """

    model: str
    turns: Sequence[Turn]
    ceiling: int | None = None
    ceiling_name: str = "max_tokens"
    stop: Sequence[str] = ()


class Said(msgspec.Struct, frozen=True):
    """What a model says, cut into tokens; `complete` is False where the ceiling cut it; `rate` in tokens a second."""

    pieces: Sequence[str]
    complete: bool
    prompt_tokens: int
    cached_tokens: int
    rate: float
    chunk: int

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.pieces)

    async def finished(self) -> None:
        """Wait until the last token is there, counted from the first."""
        await asyncio.sleep(len(self.pieces) / self.rate)

    async def deltas(self) -> AsyncGenerator[list[str], None]:
        """Yield the chunks as their tokens come due; chunks that are late come together."""
        clock = asyncio.get_running_loop()
        began = clock.time()
        size, pieces = self.chunk, self.pieces
        chunks = ["".join(pieces[start : start + size]) for start in range(0, len(pieces), size)]
        sent = 0
        while sent < len(chunks):
            await asyncio.sleep(max(0.0, began + (sent + 1) * size / self.rate - clock.time()))
            due = min(len(chunks), max(sent + 1, int((clock.time() - began) * self.rate / size)))
            yield chunks[sent:due]
            sent = due


class LanguageModel:
    """Answers conversations under a quota."""

    def __init__(self, profile: ChatProfile, quota: Quota, answerer: Answerer) -> None:
        self._profile = profile
        self._quota = quota
        self._answerer = answerer
        self._cache = PromptCache(profile.prompt_cache_s)

    def reset(self) -> None:
        """Fill the buckets and forget the prompts."""
        self._quota.refill()
        self._cache.forget()

    async def generate(self, visit: Visit, customer: Customer, asked: Asked) -> Said | Reply:
        """Return what the model says once the first token is there, or the refusal at once."""
        said = self.begin(visit, customer, asked)
        if isinstance(said, Said):
            await asyncio.sleep(self.thinks_s(visit, said))
        return said

    def begin(self, visit: Visit, customer: Customer, asked: Asked) -> Said | Reply:
        """Debit a call and decide what the model will say to it, or refuse it."""
        characters = sum(len(turn.text) for turn in asked.turns)
        prompt_tokens = tokens.count(characters) + _TURN_TOKENS * len(asked.turns) + _REPLY_TOKENS
        wrong = self._refuse(asked, prompt_tokens)
        if wrong is not None:
            self._quota.refuse(visit, customer, asked.model)
            return wrong
        estimate = tokens.count(characters)
        charged = self._charge(estimate, asked.ceiling or 0)
        throttled = self._quota.admit(visit, customer, asked.model, charged, estimate)
        if throttled is not None:
            return throttled
        cached = self._cached(customer, asked, characters)
        rate = visit.draw.uniform("speed", *self._profile.tokens_per_s) / visit.slowdown
        said = self._say(asked, prompt_tokens, cached, rate)
        visit.entry.tokens_in, visit.entry.tokens_out = prompt_tokens, len(said.pieces)
        visit.entry.cost_usd = self._cost(asked.model, said)
        return said

    def thinks_s(self, visit: Visit, said: Said) -> float:  # noqa: ARG002  # a model may depend on what it says
        """Seconds until it begins to speak."""
        return self._profile.latency.seconds(visit.draw) * visit.slowdown

    def _cached(self, customer: Customer, asked: Asked, characters: int) -> int:
        """Return how many of the prompt's tokens the provider remembers."""
        if characters + len(asked.turns) <= SHORTEST:  # a line break each; most prompts need not be put together
            return 0
        prompt = "\n".join(turn.text for turn in asked.turns)
        return self._cache.cached(f"{customer.organization} {asked.model}", prompt, asyncio.get_running_loop().time())

    def _say(self, asked: Asked, prompt_tokens: int, cached: int, rate: float) -> Said:
        turns = asked.turns
        last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=len(turns) - 1)
        context = [turn.text for turn in turns[:last] if turn.role in ("system", "developer")]
        answer = _before_stop(self._answerer.answer(context, turns[last].text), asked.stop)
        pieces = tokens.pieces(answer)
        complete = asked.ceiling is None or len(pieces) <= asked.ceiling
        return Said(pieces[: asked.ceiling], complete, prompt_tokens, cached, rate, self._profile.tokens_per_chunk)

    def _refuse(self, asked: Asked, prompt_tokens: int) -> Reply | None:
        ceiling = asked.ceiling
        if ceiling is not None and ceiling < 1:
            return openai_errors.below_minimum(asked.ceiling_name, 1, ceiling)
        limit = self._profile.context_tokens
        if prompt_tokens > limit:
            return openai_errors.context_too_long(limit, prompt_tokens)
        if prompt_tokens + (ceiling or 0) > limit:
            return openai_errors.completion_too_long(limit, prompt_tokens, ceiling or 0)
        return None

    def _charge(self, prompt: int, ceiling: int) -> int:
        match self._profile.charge:
            case "max":
                return max(ceiling, prompt)
            case "sum":
                return ceiling + prompt
            case "prompt":
                return prompt

    def _cost(self, model: str, said: Said) -> float:
        """Return the price in $: tokens that the cache remembered have their own."""
        own = self._profile.models.get(model, UNLISTED)
        for price in (own.price_cached_in, own.price_in, self._profile.price_cached_in, self._profile.price_in):
            if price is not None:
                break
        fresh = self._quota.cost(model, said.prompt_tokens - said.cached_tokens, len(said.pieces))
        return fresh + said.cached_tokens * (price or 0.0) / 1e6


def _before_stop(answer: str, stop: Sequence[str]) -> str:
    """Return the answer up to the first stop sequence, which is not part of it."""
    ends = [place for place in (answer.find(sequence) for sequence in stop if sequence) if place >= 0]
    return answer[: min(ends)] if ends else answer
