"""The streamed answer of an OpenAI-compatible chat model: server-sent events in, `ChatDelta`s out."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from rushhour.errors import AttemptTimeout, MalformedReply, TruncatedStream, UpstreamError
from rushhour.flow.call import Call
from rushhour.hops.contract import ChatDelta, ChatRequest, Usage, Used
from rushhour.hops.http_errors import event_error
from rushhour.hops.sse import SseParser
from rushhour.hops.transport import ByteStream, Peer

SLOWEST = 3.0
"""Bytes of text a second, a word in two seconds: a model at work is faster, even on a CPU."""
_TAIL_S = 0.5
"""How long to wait, after the answer is whole, for the end of the body that lets its connection serve again."""


class _CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None


class _Counted(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _CachedTokens | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Counted | None = None
    error: Any = None


_DECODER = msgspec.json.Decoder(_Chunk)


class ChatStream:
    """The deltas of one answer in order; the last one carries finish reason and usage.

    Texts that arrive together become one delta. An answer that drips, at less than `SLOWEST` for `patience_s` seconds,
    raises AttemptTimeout, as one does that stands still for as long: it would be waited for in vain.

    `Used` is emitted once: with the provider's usage, or, when the answer is cut or left early, with an estimate,
    because what was generated is charged all the same.
    """

    def __init__(
        self,
        upstream: ByteStream,
        peer: Peer,
        model: str,
        request: ChatRequest,
        call: Call,
        gathering_s: Callable[[], float],
        patience_s: float = math.inf,
    ) -> None:
        self._upstream = upstream
        self._peer = peer
        self._model = model
        self._call = call
        self._gathering_s = gathering_s
        self._patience_s = patience_s
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()
        self._said_since = 0
        self._parser = SseParser()
        self._ready: deque[ChatDelta] = deque()
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._asked = sum(len(turn.content) for turn in request.messages)
        self._answered = 0
        self._whole = False
        self._accounted = False

    async def first(self) -> None:
        """Wait for the first text, or for the end of an answer that has none."""
        while not self._ready:
            await self._read()
        self._since, self._said_since = self._clock(), 0

    def __aiter__(self) -> ChatStream:
        return self

    async def __anext__(self) -> ChatDelta:
        while not self._ready:
            if self._whole:
                await self._finish_body()
                raise StopAsyncIteration
            if pause := self._gathering_s():
                await self._upstream.gather(pause)
            await self._read()
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Abort the provider's work if it is not done, and account for what it did."""
        if self._answered:
            self._account()
        await self._upstream.aclose()

    async def _read(self) -> None:
        try:
            arrived = await self._upstream.read()
        except UpstreamError:
            if self._finish_reason is None:
                raise
            arrived = b""  # the answer is whole, only the usage is lost
        events = self._parser.feed(arrived) if arrived else self._parser.end()
        texts = [text for text in map(self._take, events) if text]
        if texts:
            text = "".join(texts)
            self._answered += len(text)
            self._said_since += len(text.encode())
            self._ready.append(ChatDelta(text))
        if not arrived and not self._whole and self._finish_reason is None:
            raise TruncatedStream(f"{self._peer.host} ended an answer of {self._model} without a finish reason.")
        if not arrived or self._whole:
            self._conclude()
        elif self._finish_reason is None and self._clock() - self._since > self._patience_s:
            self._look_how_fast()

    def _look_how_fast(self) -> None:
        """Give an answer up that drips; begin to count anew with one that does not."""
        now = self._clock()
        if self._said_since < SLOWEST * (now - self._since):
            raise AttemptTimeout(
                f"{self._peer.host} sent {self._said_since} bytes of an answer of {self._model} in "
                f"{now - self._since:.0f} s. If it is always so slow, allow more by {self._peer.setting('TIMEOUT_S')}."
            )
        self._since, self._said_since = now, 0

    def _take(self, event: bytes) -> str:
        if event == b"[DONE]":
            self._whole = True
            return ""
        try:
            chunk = _DECODER.decode(event)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise MalformedReply(
                f"{self._peer.host} sent an event that is no chat completion chunk ({cause})."
            ) from cause
        if chunk.error is not None:
            raise event_error(self._peer, event, self._model)
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        return self._text(chunk.choices[0]) if chunk.choices else ""

    def _text(self, choice: _Choice) -> str:
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
        if choice.delta is None:
            return ""
        return choice.delta.content or choice.delta.refusal or ""

    def _conclude(self) -> None:
        self._whole = True
        self._ready.append(ChatDelta("", self._finish_reason or "stop", self._account()))

    def _account(self) -> Usage:
        """Emit what the call used, once; four characters are taken for a token where the provider is silent."""
        usage = self._usage or Usage(self._asked // 4 + 1, 0, -(-self._answered // 4))
        if not self._accounted:
            self._accounted = True
            self._call.emit(Used(self._call.hop, self._model, usage))
        return usage

    async def _finish_body(self) -> None:
        try:
            async with asyncio.timeout(_TAIL_S):
                while await self._upstream.read():
                    pass
        except (UpstreamError, TimeoutError):
            await self._upstream.aclose()  # the answer is whole; all that is lost is the connection


def _usage(counted: _Counted) -> Usage:
    details = counted.prompt_tokens_details
    return Usage(
        input_tokens=counted.prompt_tokens,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        output_tokens=counted.completion_tokens,
    )
