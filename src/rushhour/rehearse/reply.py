"""One chat completion as a chat window would read it, and what to make of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec

from rushhour.rehearse.judge import (
    Outcome,
    advised_in,
    advised_wait,
    degraded_in,
    error_kind,
    judge_answer,
    judge_status,
)
from rushhour.rehearse.visits import Visit

_DATA = b"data:"
_DONE = b"[DONE]"


class Target(msgspec.Struct, frozen=True):
    """Where the crowd goes: an OpenAI-compatible base URL ending in /v1, a model, a key, and its patience (s).

    `at_once` bounds how many ask at the same time: None for a Monday, a few for a quiet Friday. `stream` asks for
    the answer word by word, as a chat window does. Users who `obey` a refusal come again once, when it says.
    """

    base_url: str
    model: str
    api_key: str
    patience_s: float
    at_once: int | None = None
    stream: bool = True
    obeys: bool = True


class Truncated(Exception):
    """The reply ended without a finish reason, or its stream without [DONE]."""


class ErrorInStream(Exception):
    """The pipeline reported a failure after its 200."""


class Reply:
    """The answer to one visit, streamed or whole.

    `first_at` is the loop's time of the first word (NaN: there was none), `advised` for how many seconds a refusal, or
    an error that ended a stream, asks to stay away.
    """

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self.status = 0
        self.first_at = math.nan
        self.advised: float | None = None
        self.degraded: tuple[str, ...] = ()

    async def receive(self, session: aiohttp.ClientSession, target: Target) -> tuple[Outcome, str]:
        """Ask and read to the end; returns the outcome and, of a failure, its kind.

        Raises Truncated, ErrorInStream, aiohttp.ClientError and OSError.
        """
        visit = self._visit
        body = {
            "model": target.model,
            "messages": [{"role": "user", "content": visit.question}],
            "stream": target.stream,
        }
        key = {"authorization": f"Bearer {visit.key or target.api_key}"}
        async with session.post(f"{target.base_url}/chat/completions", json=body, headers=key) as response:
            self.status = response.status
            if response.status != 200:
                headers = {name.lower(): value for name, value in response.headers.items()}
                self.advised = advised_wait(headers)
                return judge_status(response.status, headers, _decode(await response.read()))
            text = await (self._read_stream(response) if target.stream else self._read_whole(response))
            return judge_answer(text, visit.gold), ""

    async def _read_whole(self, response: aiohttp.ClientResponse) -> str:
        body = _decode(await response.read())
        try:
            choice = body["choices"][0]
            finished, text = choice["finish_reason"], choice["message"]["content"]
        except (TypeError, KeyError, IndexError):
            raise Truncated from None
        if finished is None:
            raise Truncated
        self.degraded = degraded_in(body)
        self.first_at = asyncio.get_running_loop().time()
        return str(text)

    async def _read_stream(self, response: aiohttp.ClientResponse) -> str:
        loop = asyncio.get_running_loop()
        text: list[str] = []
        finished = False
        async for data in _events(response):
            if data == _DONE:
                if not finished:
                    break
                return "".join(text)
            chunk = _decode(data)
            if kind := error_kind(chunk):
                self.advised = advised_in(chunk)
                raise ErrorInStream(kind)
            self.degraded = degraded_in(chunk) or self.degraded
            for choice in chunk.get("choices", ()) if isinstance(chunk, dict) else ():
                if piece := (choice.get("delta") or {}).get("content"):
                    if not text:
                        self.first_at = loop.time()
                    text.append(piece)
                finished = finished or choice.get("finish_reason") is not None
        raise Truncated


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the data of each server-sent event; comments are skipped, lines may be of any length."""
    rest = b""
    async for received in response.content.iter_any():
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            if line.startswith(_DATA):
                yield line[len(_DATA) :].strip()


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return None
