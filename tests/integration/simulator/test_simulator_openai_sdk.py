"""The official SDK as the judge of the simulator's fidelity. Real sockets."""

import asyncio
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


async def test_tokens_are_embedded_and_dimensions_obeyed(listening: Make) -> None:
    """Arrays of tokens count as they are; a shorter vector is of unit length too."""
    async with listening() as simulator, _client(simulator) as client:
        several = await client.embeddings.create(model="any", input=[[1, 2, 3], [4]], dimensions=64)

    assert several.usage.total_tokens == 4
    assert [len(one.embedding) for one in several.data] == [64, 64]
    assert sum(value * value for value in several.data[0].embedding) == pytest.approx(1.0, abs=1e-4)


async def test_a_stop_sequence_and_a_ceiling_end_a_completion(listening: Make) -> None:
    """Each with its own finish reason."""
    async with listening() as simulator, _client(simulator) as client:
        stopped = await _chat(client, stop=["sequences"])
        cut = await _chat(client, max_completion_tokens=4)

    assert stopped.choices[0].message.content == "The context says: “Tuples are immutable "
    assert stopped.choices[0].finish_reason == "stop"
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 4)


async def test_a_response_at_once(listening: Make) -> None:
    """Text, status and usage are where the SDK looks for them."""
    async with listening() as simulator, _client(simulator) as client:
        whole = await client.responses.create(model="any", input=PROMPT)
        long = PROMPT.replace("objects.", "objects of any type that may be hashed if all of them may be hashed too.")
        cut = await client.responses.create(model="any", input=long, max_output_tokens=16)

    assert "“Tuples are immutable sequences of objects.”" in whole.output_text
    assert whole.status == "completed"
    assert whole.usage is not None
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"


async def test_a_response_streamed(listening: Make) -> None:
    """The SDK's own accumulator puts the events together without a complaint."""
    async with (
        listening() as simulator,
        _client(simulator) as client,
        client.responses.stream(model="any", input=PROMPT) as stream,
    ):
        names = [event.type async for event in stream]
        final = await stream.get_final_response()

    assert names[0] == "response.created"
    assert names[-1] == "response.completed"
    assert "“Tuples are immutable sequences of objects.”" in final.output_text


async def test_the_synchronous_client_does_the_same(listening: Make) -> None:
    """Embeddings, a completion, a stream, a response and a model; a stream costs it the connection.

    It leaves at `[DONE]`, before the last chunk of HTTP, where the asynchronous client reads to the end.
    """
    async with listening() as simulator:

        def story() -> list[str]:
            messages: Any = [{"role": "user", "content": PROMPT}]
            with openai.OpenAI(api_key="sdk", base_url=f"{simulator.url}/v1", max_retries=0) as client:
                assert len(client.embeddings.create(model="e", input="one").data[0].embedding) == 512
                whole = client.chat.completions.create(model="m", messages=messages).choices[0].message.content
                chunks = list(client.chat.completions.create(model="m", messages=messages, stream=True))
                streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
                assert client.models.retrieve("m").id == "m"
                return [whole or "", streamed, client.responses.create(model="m", input=PROMPT).output_text]

        answers = await asyncio.to_thread(story)
        opened = simulator.state()["connections"]["opened"]

    assert len(set(answers)) == 1
    assert "“Tuples are immutable sequences of objects.”" in answers[0]
    assert opened == 2


async def test_models_are_listed(listening: Make) -> None:
    """The SDK pages through the list."""
    listed: dict[str, Any] = {"embeddings": {"models": {"one": {}}}, "chat": {"models": {"two": {}}}}
    async with listening(**listed) as simulator, _client(simulator) as client:
        assert [model.id async for model in client.models.list()] == ["one", "two"]
        assert (await client.models.retrieve("two")).id == "two"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("three")


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
