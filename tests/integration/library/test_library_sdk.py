"""The library round real clients, the OpenAI SDK and aiohttp, against the simulated provider. Real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest

from rushhour import (
    ConnectionLost,
    DeadlineExceeded,
    Event,
    Limits,
    LimitsSeen,
    Rejected,
    Throttled,
    TooLarge,
    protect,
    reply_error,
    streaming,
)
from rushhour.flow.policies.pace import Gated
from rushhour.flow.policies.retry import Retried
from rushhour.simulator import Simulator, build_profile

QUICK = {"latency": {"median_s": 0.0, "sigma": 0.0, "slow_share": 0.0}}
PROMPT: Any = [{"role": "user", "content": "Context:\nTuples are immutable.\n\nQuestion: What is immutable?"}]


@asynccontextmanager
async def provider(**chat: Any) -> AsyncIterator[tuple[Simulator, openai.AsyncOpenAI]]:
    """Run a quick simulator, and the SDK without retries of its own."""
    profile = build_profile({"embeddings": QUICK, "chat": {**QUICK, "tokens_per_s": [5_000, 10_000], **chat}})
    async with (
        Simulator(profile, seed=1) as simulator,
        openai.AsyncOpenAI(api_key="sdk", base_url=f"{simulator.url}/v1", max_retries=0) as client,
    ):
        yield simulator, client


def account(simulator: Simulator) -> Any:
    """Return what the provider noted of its one client."""
    return simulator.state()["clients"]["sdk"]


async def test_a_known_limit_is_kept_without_a_429() -> None:
    """Forty calls at a limit of twenty a second: the provider refuses none of them."""
    async with provider(rpm=1200, burst_s=1.0) as (simulator, client):

        async def ask(number: int) -> str:
            reply = await client.chat.completions.create(model="m", messages=PROMPT, max_tokens=20, user=str(number))
            return reply.choices[0].message.content or ""

        chat = protect(ask, limits=Limits(requests_per_minute=1200, burst_s=0.5))
        answers = await asyncio.gather(*(chat(number, deadline_s=30) for number in range(40)))
        noted = account(simulator)

    assert all("immutable" in answer for answer in answers)
    assert noted["surfaces"]["chat"]["ok"] == 40
    assert noted["surfaces"]["chat"]["throttled"] == {}


async def test_a_limit_nobody_told_costs_no_caller_anything() -> None:
    """The provider's 429s are absorbed, waited for as advised, and its headers are learned from."""
    seen: list[Event] = []
    async with provider(rpm=1200, burst_s=0.5) as (simulator, client):

        async def ask(_number: int) -> Any:
            return await client.chat.completions.with_raw_response.create(model="m", messages=PROMPT, max_tokens=20)

        chat = protect(ask, watch=seen.append)
        replies = await asyncio.gather(*(chat(number, deadline_s=30) for number in range(30)))
        noted = account(simulator)

    assert all(reply.parse().choices[0].finish_reason == "stop" for reply in replies)
    assert noted["surfaces"]["chat"]["ok"] == 30
    assert any(isinstance(event, Gated) for event in seen)
    limits = [event.limits.requests for event in seen if isinstance(event, LimitsSeen)]
    assert {limit.limit for limit in limits if limit} == {1200}
    causes = [event.cause for event in seen if isinstance(event, Retried)]
    assert causes
    assert all(isinstance(cause, Throttled) and isinstance(cause.__cause__, openai.RateLimitError) for cause in causes)


async def test_resets_are_retried() -> None:
    """Every fourth connection is cut under the request, and every caller gets an answer."""
    seen: list[Event] = []
    async with provider(faults={"reset": 0.25}) as (_simulator, client):

        async def ask(_number: int) -> Any:
            return await client.chat.completions.create(model="m", messages=PROMPT, max_tokens=20)

        chat = protect(ask, watch=seen.append, concurrency=4)
        replies = await asyncio.gather(*(chat(number) for number in range(24)))

    assert all(reply.choices[0].finish_reason == "stop" for reply in replies)
    assert {type(event.cause) for event in seen if isinstance(event, Retried)} == {ConnectionLost}


async def test_what_can_never_fit_is_told_at_once() -> None:
    """One call, one refusal, with the SDK's own exception behind it."""
    asked: list[int] = []
    async with provider(tpm=1000) as (_simulator, client):

        async def ask(max_tokens: int) -> Any:
            asked.append(max_tokens)
            return await client.chat.completions.create(model="m", messages=PROMPT, max_tokens=max_tokens)

        with pytest.raises(TooLarge) as caught:
            await protect(ask)(2000)

    assert isinstance(caught.value.__cause__, openai.RateLimitError)
    assert asked == [2000]


async def test_a_stream_left_early_is_abandoned_upstream() -> None:
    """Its permit comes back with it."""
    async with provider(tokens_per_s=[20, 30]) as (simulator, client):

        async def ask(_question: str) -> Any:
            return await client.chat.completions.create(model="m", messages=PROMPT, stream=True)

        chat = protect(streaming(ask), concurrency=1)
        async with await chat("q") as stream:
            await anext(stream)
        async with await chat("q") as stream:
            chunks = [chunk async for chunk in stream]
        tally = account(simulator)["surfaces"]["chat"]

    assert any(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    assert (tally["ok"], tally["abandoned"]) == (1, 1)


async def test_aiohttp_by_hand() -> None:
    """A refusal's body is read by `reply_error`; limits are learned; who is wrong is told so."""
    async with (
        provider(rpm=600, burst_s=0.5) as (simulator, _client),
        aiohttp.ClientSession(headers={"authorization": "Bearer sdk"}) as session,
    ):

        async def ask(max_tokens: int) -> tuple[Any, Any]:
            body = {"model": "m", "messages": PROMPT, "max_tokens": max_tokens}
            async with session.post(f"{simulator.url}/v1/chat/completions", json=body) as response:
                if response.status >= 400:
                    raise reply_error(response.status, response.headers, await response.read())
                return await response.json(), response.headers

        chat = protect(ask, limits_of=lambda reply: reply[1])
        replies = await asyncio.gather(*(chat(20, deadline_s=30) for _ in range(12)))
        with pytest.raises(Rejected):
            await chat(-5)
        noted = account(simulator)

    assert all(reply["choices"][0]["finish_reason"] == "stop" for reply, _headers in replies)
    assert noted["surfaces"]["chat"]["ok"] == 12


async def test_aiohttps_own_exceptions() -> None:
    """A server that is not there is a lost connection, and the deadline ends the attempts."""
    async with aiohttp.ClientSession() as session:

        async def ask(_question: str) -> int:
            async with session.get("http://127.0.0.1:9/") as response:
                return response.status

        seen: list[Event] = []
        with pytest.raises((ConnectionLost, DeadlineExceeded)):  # the deadline falls into a wait, or into an attempt
            await protect(ask, watch=seen.append)("q", deadline_s=1)
    first = next(event.cause for event in seen if isinstance(event, Retried))
    assert isinstance(first, ConnectionLost)
    assert isinstance(first.__cause__, aiohttp.ClientConnectorError)
