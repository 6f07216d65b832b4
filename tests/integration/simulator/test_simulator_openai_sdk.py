"""The official SDK as the judge of the simulator's fidelity. Real sockets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import openai
import pytest

from rushhour.simulator import Simulator

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
PROMPT = "Context:\nTuples are immutable sequences of objects.\n\nQuestion: What are immutable sequences?"


@asynccontextmanager
async def _client(simulator: Simulator, **more: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    options = {"api_key": "sdk", "max_retries": 0, **more}
    async with openai.AsyncOpenAI(base_url=f"{simulator.url}/v1", **options) as client:
        yield client


async def _chat(client: openai.AsyncOpenAI, **more: Any) -> Any:
    messages: Any = [{"role": "user", "content": PROMPT}]
    return await client.chat.completions.create(model="any", messages=messages, **more)


async def test_embeddings_arrive_as_the_sdk_asks_for_them(listening: Make) -> None:
    """The SDK asks for base64 on its own and decodes it; floats give the same."""
    async with listening() as simulator, _client(simulator) as client:
        default = await client.embeddings.create(model="any", input=["one", "two"])
        floats = await client.embeddings.create(model="any", input=["one", "two"], encoding_format="float")

    assert default.usage.total_tokens == 2
    for mine, theirs in zip(default.data, floats.data, strict=True):
        assert mine.embedding == pytest.approx(theirs.embedding)
        assert sum(value * value for value in mine.embedding) == pytest.approx(1.0, abs=1e-4)


async def test_a_completion_at_once(listening: Make) -> None:
    """Message, finish reason and usage are where the SDK looks for them."""
    async with listening() as simulator, _client(simulator) as client:
        whole = await _chat(client)

    assert "“Tuples are immutable sequences of objects.”" in whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens


async def test_a_completion_streamed(listening: Make) -> None:
    """The SDK's chunks join to the answer, and the last one carries the usage."""
    async with listening() as simulator, _client(simulator) as client:
        stream = await _chat(client, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert "“Tuples are immutable sequences of objects.”" in text
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens > 10


async def test_models_are_listed(listening: Make) -> None:
    """The SDK pages through the list."""
    async with listening(chat={"models": {"one": {}, "two": {}}}) as simulator, _client(simulator) as client:
        assert [model.id async for model in client.models.list()] == ["one", "two"]


async def test_throttling_raises_rate_limit_error(listening: Make) -> None:
    """With the provider's message, code, type, and retry headers."""
    async with listening(chat={"rpm": 1}) as simulator, _client(simulator) as client:
        await _chat(client)
        with pytest.raises(openai.RateLimitError) as caught:
            await _chat(client)

    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.type == "requests"
    assert "on requests per min (RPM): Limit 1, Used 1, Requested 1. Please try again in" in caught.value.message
    assert 59_000 < int(caught.value.response.headers["retry-after-ms"]) <= 60_000
    assert caught.value.response.headers["x-ratelimit-limit-requests"] == "1"


async def test_the_sdk_waits_as_told_and_then_succeeds(listening: Make) -> None:
    """With its retries on, the SDK obeys `retry-after-ms` and the second attempt passes."""
    limits = {"rpm": 600, "burst_s": 0.1}
    async with listening(chat=limits) as simulator, _client(simulator, max_retries=2) as client:
        for _ in range(3):
            await _chat(client)
        account = simulator.state()["clients"]["sdk"]

    assert account["surfaces"]["chat"]["ok"] == 3
    assert account["retries_too_early"] == 0


@pytest.mark.parametrize(
    ("fields", "body", "error"),
    [
        ({"keys": ["right"]}, {}, openai.AuthenticationError),
        ({"chat": {"models": {"known": {}}}}, {}, openai.NotFoundError),
        ({}, {"max_tokens": 1_000_000}, openai.BadRequestError),
        ({"chat": {"faults": {"bad_gateway": 1.0}}}, {}, openai.InternalServerError),
        ({"chat": {"faults": {"reset": 1.0}}}, {}, openai.APIConnectionError),
    ],
)
async def test_every_failure_raises_the_sdk_s_own_exception(
    listening: Make, fields: Any, body: Any, error: type[openai.OpenAIError]
) -> None:
    """Keys, models, sizes and faults are told apart by the SDK as with the real provider."""
    async with listening(**fields) as simulator, _client(simulator) as client:
        with pytest.raises(error):
            await _chat(client, **body)


async def test_a_stream_left_early_is_abandoned(listening: Make) -> None:
    """Closing the stream ends the service at once, and the ledger says so."""
    async with listening(chat={"tokens_per_s": [1, 2]}) as simulator, _client(simulator) as client:
        stream = await _chat(client, stream=True)
        await anext(aiter(stream))
        await stream.close()
        while simulator.state()["load"]["chat"]["in_flight"]:
            await client.models.list()
        tally = simulator.state()["clients"]["sdk"]["surfaces"]["chat"]

    assert (tally["ok"], tally["abandoned"]) == (0, 1)
