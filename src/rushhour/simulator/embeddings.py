"""`POST /v1/embeddings`: strings or tokens in, unit vectors out, base64 or floats."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from rushhour.simulator import openai_errors, tokens
from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.profiles import EmbeddingsProfile
from rushhour.simulator.quota import Customer, Quota
from rushhour.simulator.vectors import TextVectors, UnitVector

_TEXTS_A_TURN = 16


class EmbeddingsBody(msgspec.Struct):
    """The request's body; unknown fields are ignored."""

    input: str | list[str | int | list[int]]
    model: str
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


_decode = msgspec.json.Decoder(EmbeddingsBody).decode


class Embeddings:
    """The embeddings API of the simulated provider."""

    name = "embeddings"

    def __init__(self, profile: EmbeddingsProfile, quota: Quota, vectors: TextVectors) -> None:
        self._profile = profile
        self._quota = quota
        self._vectors = vectors
        self.capacity = profile.latency.capacity
        self.faults: Mapping[str, float] = profile.faults

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the one route."""
        return {("POST", "/v1/embeddings"): self.embed}

    def reset(self, *, data: bool) -> None:  # noqa: ARG002 - stores nothing of a client's
        """Fill the buckets."""
        self._quota.refill()

    async def embed(self, visit: Visit) -> Reply:
        """Answer one request, after the provider's latency."""
        customer = self._quota.customer(visit)
        if isinstance(customer, Reply):
            return customer
        try:
            body = _decode(visit.request.body)
            texts, sizes = _inputs(body.input)
        except (msgspec.MsgspecError, ValueError) as wrong:
            return openai_errors.malformed(str(wrong))
        if not self._quota.knows(body.model):
            return openai_errors.unknown_model(body.model)
        reply = await self._answer(visit, customer, body, texts, sizes)
        reply.headers.update(visit.headers)
        return reply

    async def _answer(
        self, visit: Visit, customer: Customer, body: EmbeddingsBody, texts: list[str], sizes: list[int]
    ) -> Reply:
        wrong = self._refuse(texts, sizes, body.dimensions)
        if wrong is not None:
            self._quota.refuse(visit, customer, body.model)
            return wrong
        total = sum(sizes)
        throttled = self._quota.admit(visit, customer, body.model, total)
        if throttled is not None:
            return throttled
        visit.entry.tokens_in = total
        visit.entry.cost_usd = self._quota.cost(body.model, total)
        visit.entry.texts = [hash((body.model, text)) for text in texts]
        clock = asyncio.get_running_loop()
        ready = clock.time() + self._profile.latency.seconds(visit.draw) * visit.slowdown
        data = await self._data(texts, body)
        await asyncio.sleep(max(0.0, ready - clock.time()))
        usage = {"prompt_tokens": total, "total_tokens": total}
        return json_reply({"object": "list", "data": data, "model": body.model, "usage": usage})

    async def _data(self, texts: Sequence[str], body: EmbeddingsBody) -> list[dict[str, Any]]:
        show = _base64 if body.encoding_format == "base64" else _floats
        dimensions = body.dimensions or self._profile.dimensions
        data: list[dict[str, Any]] = []
        for index, text in enumerate(texts):
            if index % _TEXTS_A_TURN == _TEXTS_A_TURN - 1:
                await asyncio.sleep(0)  # a large batch must not hold up the other callers
            vector = self._vectors.vector(text, body.model, dimensions)
            data.append({"object": "embedding", "index": index, "embedding": show(vector)})
        return data

    def _refuse(self, texts: Sequence[str], sizes: Sequence[int], dimensions: int | None) -> Reply | None:
        limits = self._profile
        if not texts or not all(texts):
            return openai_errors.empty_input()
        if len(texts) > limits.max_inputs:
            return openai_errors.array_too_long("input", limits.max_inputs, len(texts))
        if max(sizes) > limits.max_input_tokens:
            return openai_errors.input_too_long(limits.max_input_tokens, max(sizes))
        if sum(sizes) > limits.max_request_tokens:
            return openai_errors.too_many_tokens(limits.max_request_tokens, sum(sizes))
        return self._refuse_dimensions(dimensions)

    def _refuse_dimensions(self, dimensions: int | None) -> Reply | None:
        most = self._profile.max_dimensions
        if dimensions is None:
            return None
        if not self._profile.takes_dimensions:
            return openai_errors.no_dimensions()
        if dimensions < 1:
            return openai_errors.below_minimum("dimensions", 1, dimensions)
        return openai_errors.above_maximum("dimensions", most, dimensions) if dimensions > most else None


def _inputs(given: str | list[str | int | list[int]]) -> tuple[list[str], list[int]]:
    """Return the texts to embed and their tokens; a token that was given stands for a word of its own.

    Raises ValueError where strings, tokens and arrays of tokens are mixed.
    """
    if isinstance(given, str):
        given = [given]
    if all(isinstance(one, str) for one in given):
        texts = [str(one) for one in given]
        return texts, [tokens.count(len(text)) for text in texts]
    arrays = [one for one in given if isinstance(one, list)]
    if not arrays:
        arrays = [[one for one in given if isinstance(one, int)]]
        given = [*arrays] if len(arrays[0]) == len(given) else given
    if len(arrays) != len(given):
        raise ValueError("'$.input' mixes strings and tokens; send only one kind.")
    return [" ".join(map(str, array)) for array in arrays], [len(array) for array in arrays]


def _base64(vector: UnitVector) -> str:
    return base64.b64encode(vector.tobytes()).decode("ascii")


def _floats(vector: UnitVector) -> list[float]:
    floats: list[float] = vector.tolist()
    return floats
