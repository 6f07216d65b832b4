"""Embeddings over the OpenAI-compatible API: `POST {base_url}/embeddings`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rushhour.errors import MalformedReply, TooLarge
from rushhour.flow.call import Call
from rushhour.hops.contract import Text, Usage, Used, Vector
from rushhour.hops.http_errors import provider_error
from rushhour.hops.limit_headers import emit_limits
from rushhour.hops.transport import JSON_HEADERS, Transport

_LARGE_REPLY = 256 * 1024
"""Bytes; decoding more than this takes milliseconds, so a thread does it."""


class _Embedding(msgspec.Struct):
    embedding: bytes | list[float]  # msgspec decodes base64 into bytes
    index: int = -1


class _Counted(msgspec.Struct):
    prompt_tokens: int = 0


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]
    usage: _Counted | None = None


_DECODER = msgspec.json.Decoder(_Embeddings)
_ENCODER = msgspec.json.Encoder()


class OpenAIEmbed:
    """An embedding model behind an OpenAI-compatible endpoint; one call is one provider request.

    `dimensions` is sent only when given (models that cannot shorten refuse it) and then checked. Vectors come
    back as float32 of unit length, in the order of the texts. Raises the provider's errors as `rushhour.errors`.
    """

    def __init__(
        self,
        transport: Transport,
        model: str,
        dimensions: int | None = None,
        *,
        timeout_s: float = 30.0,
        max_inputs: int = 2048,
        max_tokens: int = 300_000,
    ) -> None:
        self._transport = transport
        self.model = model
        self.dimensions = dimensions
        self.max_inputs = max_inputs
        self.max_tokens = max_tokens
        self._timeout_s = timeout_s

    async def __call__(self, request: Sequence[Text], call: Call) -> list[Vector]:
        """Embed all of them in one provider call."""
        if not request:
            return []
        if len(request) > self.max_inputs:
            raise TooLarge(f"{len(request)} texts in one embedding call; {self.model} takes {self.max_inputs}.")
        reply = await self._transport.send("POST", "/embeddings", self._body(request), JSON_HEADERS, self._timeout_s)
        emit_limits(reply.headers, call)
        if not reply.ok:
            raise provider_error(self._transport.peer, reply, self.model)
        if len(reply.body) > _LARGE_REPLY:
            usage, vectors = await asyncio.to_thread(self._read, reply.body, request)
        else:
            usage, vectors = self._read(reply.body, request)
        call.emit(Used(call.hop, self.model, usage))
        return vectors

    def _body(self, texts: Sequence[Text]) -> bytes:
        body: dict[str, object] = {
            "model": self.model,
            "input": [one.text for one in texts],
            "encoding_format": "base64",
        }
        if self.dimensions is not None:
            body["dimensions"] = self.dimensions
        return _ENCODER.encode(body)

    def _read(self, body: bytes, texts: Sequence[Text]) -> tuple[Usage, list[Vector]]:
        try:
            decoded = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise self._malformed(f"it is not what the embeddings API promises ({cause})") from cause
        tokens = decoded.usage.prompt_tokens if decoded.usage else 0
        usage = Usage(input_tokens=tokens or sum(len(one.text) // 4 + 1 for one in texts))
        return usage, self._vectors(self._in_order(decoded.data, len(texts)))

    def _in_order(self, data: list[_Embedding], count: int) -> list[_Embedding]:
        if len(data) != count:
            raise self._malformed(f"{len(data)} vectors came back for {count} texts")
        if all(one.index == -1 for one in data):  # some servers leave the index out
            return data
        ordered = sorted(data, key=lambda one: one.index)
        if [one.index for one in ordered] != list(range(count)):
            raise self._malformed(f"the indexes of its vectors are not 0 to {count - 1}")
        return ordered

    def _vectors(self, data: list[_Embedding]) -> list[Vector]:
        rows = [self._row(one.embedding) for one in data]
        width = self.dimensions or rows[0].size
        for number, row in enumerate(rows):
            if row.size != width or row.size == 0:
                raise self._malformed(
                    f"vector {number} has {row.size} dimensions instead of {width}; "
                    f"check {self._transport.peer.setting('DIMENSIONS')}"
                )
        matrix = np.stack(rows).astype(np.float32, copy=False)
        with np.errstate(over="ignore", invalid="ignore"):  # the next line looks for what would warn
            lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise self._malformed("a vector holds NaN or infinity, or is all zeros")
        matrix = matrix / lengths
        return [row.copy() for row in matrix]  # copies: a cached row must not keep the whole batch alive

    def _row(self, embedding: bytes | list[float]) -> NDArray[np.float32]:
        if isinstance(embedding, list):
            with np.errstate(over="ignore"):  # infinity is found with the lengths
                return np.array(embedding, dtype=np.float32)
        if len(embedding) % 4:
            raise self._malformed(f"a vector of {len(embedding)} bytes is not made of 4-byte floats")
        return np.frombuffer(embedding, dtype="<f4")

    def _malformed(self, what: str) -> MalformedReply:
        return MalformedReply(f"{self._transport.peer.host} answered an embedding call of {self.model}: {what}.")
