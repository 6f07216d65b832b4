"""A reranker in two shapes: Cohere's `POST /v2/rerank`, and `POST /rerank` as a self-hosted TEI server has it.

The first counts requests a minute and charges searches; the second counts nothing and is overloaded when too many
calls are in flight.
"""

from __future__ import annotations

import asyncio
import math
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.limiter import Bucket
from rushhour.simulator.profiles import ModelLimits, RerankProfile
from rushhour.simulator.relevance import Relevance
from rushhour.simulator.tokens import CHARACTERS_PER_TOKEN, count

_DOCUMENTS_A_SEARCH = 100
_DOCUMENT_TOKENS = 500


class RerankBody(msgspec.Struct):
    """`POST /v2/rerank`; unknown fields are ignored."""

    model: str
    query: str
    documents: list[str]
    top_n: int | None = None
    max_tokens_per_doc: int | None = None


class TeiBody(msgspec.Struct):
    """`POST /rerank`; unknown fields are ignored."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False


_decode = msgspec.json.Decoder(RerankBody).decode
_decode_tei = msgspec.json.Decoder(TeiBody).decode


class Rerank:
    """The reranker of the simulated provider."""

    name = "rerank"

    def __init__(self, profile: RerankProfile, keys: frozenset[str]) -> None:
        self._profile = profile
        self._keys = keys
        self._relevance = Relevance()
        self._buckets: dict[str, Bucket] = {}
        self._in_flight = 0
        self.capacity = profile.latency.capacity
        self.faults: Mapping[str, float] = profile.faults

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the two routes."""
        return {("POST", "/v2/rerank"): self._guard(self._rerank), ("POST", "/rerank"): self._self_hosted}

    def reset(self, *, data: bool) -> None:  # noqa: ARG002 - stores nothing of a client's
        """Fill the buckets."""
        self._buckets.clear()

    def _guard(self, answer: Callable[[Visit], Awaitable[Reply]]) -> Handler:
        async def handle(visit: Visit) -> Reply:
            key = visit.request.headers.get("authorization", "").partition(" ")[2]
            if self._keys and key not in self._keys:
                return _error(401, "invalid api token" if key else "no api key supplied")
            return await answer(visit)

        return handle

    async def _rerank(self, visit: Visit) -> Reply:
        try:
            body = _decode(visit.request.body)
        except (msgspec.MsgspecError, ValueError) as wrong:
            return _error(400, f"invalid request: {wrong}")
        wrong_reply = self._refuse(body) or self._pace(visit, body.model)
        if wrong_reply is not None:
            return wrong_reply
        longest = min(body.max_tokens_per_doc or self._profile.max_tokens_per_doc, self._profile.max_tokens_per_doc)
        texts = [text[: longest * CHARACTERS_PER_TOKEN] for text in body.documents]
        searches = _searches(body.query, texts)
        visit.entry.tokens_in = count(len(body.query) * len(texts) + sum(map(len, texts)))
        visit.entry.cost_usd = searches * self._profile.price_search
        ranked = await self._ranked(visit, body.query, texts)
        content = {
            "id": str(uuid.UUID(hex=visit.draw.hexadecimal("id") + visit.draw.hexadecimal("id.rest"), version=4)),
            "results": [{"index": index, "relevance_score": score} for index, score in ranked[: body.top_n]],
            "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": searches}},
        }
        return json_reply(content)

    async def _self_hosted(self, visit: Visit) -> Reply:
        async with self._place() as free:
            if not free:
                visit.entry.throttled = "overloaded"
                return _tei_error(429, "Model is overloaded", "overloaded")
            try:
                body = _decode_tei(visit.request.body)
            except (msgspec.MsgspecError, ValueError) as wrong:
                return _tei_error(
                    422, f"Failed to deserialize the JSON body into the target type: {wrong}", "Validation"
                )
            if not body.texts:
                return _tei_error(400, "`texts` cannot be empty", "Empty")
            most = self._profile.max_batch
            if len(body.texts) > most:
                message = f"batch size {len(body.texts)} > maximum allowed batch size {most}"
                return _tei_error(413, message, "Validation")
            visit.entry.tokens_in = count(len(body.query) * len(body.texts) + sum(map(len, body.texts)))
            ranked = await self._ranked(visit, body.query, body.texts)
            return json_reply([_tei_rank(body, index, score) for index, score in ranked])

    async def _ranked(self, visit: Visit, query: str, texts: list[str]) -> list[tuple[int, float]]:
        """Return the places and scores of the texts, best first, after the model's latency."""
        clock = asyncio.get_running_loop()
        ready = clock.time() + self._profile.latency.seconds(visit.draw) * visit.slowdown
        scores = await self._relevance.scores(query, texts)
        await asyncio.sleep(max(0.0, ready - clock.time()))
        return sorted(enumerate(scores), key=lambda ranked: -ranked[1])

    def _refuse(self, body: RerankBody) -> Reply | None:
        limits = self._profile
        if limits.models and body.model not in limits.models:
            message = (
                f"model '{body.model}' not found, make sure the correct model ID was used and that you have access to "
                "the model."
            )
            return _error(404, message)
        if not body.query.strip():
            return _error(400, "invalid request: query must not be empty or be only whitespace")
        if not body.documents:
            return _error(400, "invalid request: list of documents must not be empty")
        if len(body.documents) > limits.max_documents:
            message = (
                "invalid request: number of total max chunks (number of documents * max chunks per doc) must be less "
                f"than {limits.max_documents}"
            )
            return _error(400, message)
        if body.top_n is not None and body.top_n < 1:
            return _error(400, f"invalid request: top_n must be greater than 0, got {body.top_n}")
        return None

    def _pace(self, visit: Visit, model: str) -> Reply | None:
        now = asyncio.get_running_loop().time()
        bucket = self._buckets.get(model)
        if bucket is None:
            own = self._profile.models.get(model, ModelLimits())
            rpm, burst_s = own.rpm or self._profile.rpm, own.burst_s or self._profile.burst_s
            bucket = self._buckets[model] = Bucket(rpm, burst_s)
        if bucket.fits(1, now):
            bucket.take(1, now)
            return None
        visit.entry.throttled, visit.entry.retry_after = "requests", bucket.wait(1, now)
        return _error(429, "You are past the per minute request limit, please wait and try again later.")

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[bool]:
        """Take a place in flight; False where there is none."""
        if self._in_flight >= self._profile.max_concurrent:
            yield False
            return
        self._in_flight += 1
        try:
            yield True
        finally:
            self._in_flight -= 1


def _searches(query: str, texts: list[str]) -> int:
    """Return the searches billed: one per 100 documents, where each 500 tokens of query and document are one."""
    parts = sum(max(1, math.ceil(count(len(query) + len(text)) / _DOCUMENT_TOKENS)) for text in texts)
    return math.ceil(parts / _DOCUMENTS_A_SEARCH)


def _error(status: int, message: str) -> Reply:
    return json_reply({"message": message}, status)


def _tei_error(status: int, message: str, kind: str) -> Reply:
    return json_reply({"error": message, "error_type": kind}, status)


def _tei_rank(body: TeiBody, index: int, score: float) -> dict[str, Any]:
    """Return one rank; a raw score is the logit of what is otherwise between 0 and 1."""
    shown = math.log(score / (1.0 - score)) if body.raw_scores else score
    rank: dict[str, Any] = {"index": index, "score": shown}
    if body.return_text:
        rank["text"] = body.texts[index]
    return rank
