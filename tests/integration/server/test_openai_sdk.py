"""The official SDK as the client: what it expects is what it gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from rushhour.errors import QuotaExhausted, Unavailable, UnknownCollection, WouldMissDeadline

QUESTION: Any = [{"role": "user", "content": "What does the with statement do?"}]


@pytest.fixture
async def client(run: Any) -> AsyncIterator[AsyncOpenAI]:
    """Return a client of a server that wants the key `k1`."""
    async with (
        run(api_keys={"k1": "acme"}) as server,
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="k1", max_retries=0) as client,
    ):
        yield client


async def test_answer_in_one_piece(client: AsyncOpenAI, engine: Any) -> None:
    """Text, annotations, usage, citations and receipt arrive in one completion."""
    reply = await client.chat.completions.create(model="manual", messages=QUESTION, temperature=0.5)

    message = reply.choices[0].message
    assert message.content == "The with statement wraps a block [1]."
    assert reply.choices[0].finish_reason == "stop"
    assert message.annotations is not None
    cited = message.annotations[0].url_citation
    assert message.content[cited.start_index : cited.end_index] == "[1]"
    assert (cited.title, cited.url) == (
        "The with statement",
        "https://docs.python.org/3/reference/with.html",
    )
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (90, 12, 102)
    assert reply.usage.prompt_tokens_details.cached_tokens == 10
    extra: Any = reply.model_extra
    assert extra["citations"][0]["file"] == "reference/with.txt"
    assert extra["rushhour"] == {"model": "small-model", "cost_usd": 0.25, "confidence": None, "not_found": False}
    assert engine.asked[0].temperature == 0.5
    assert engine.calls[0].tenant == "acme"


async def test_answer_as_a_stream(client: AsyncOpenAI) -> None:
    """The deltas add up, the last choice carries reason and annotations, and the usage comes when asked for."""
    stream = await client.chat.completions.create(
        model="manual", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "The with statement wraps a block [1]."
    last: Any = chunks[-2]
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].delta.annotations[0]["url_citation"]["title"] == "The with statement"
    assert last.citations[0]["number"] == 1
    assert last.rushhour["cost_usd"] == 0.25
    assert [chunk.usage is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 102


async def test_stream_without_usage_has_no_usage_chunk(client: AsyncOpenAI) -> None:
    """Only those who ask get the chunk without choices: others index into choices[0]."""
    stream = await client.chat.completions.create(model="manual", messages=QUESTION, stream=True)

    assert all(chunk.choices for chunk in [chunk async for chunk in stream])


async def test_collections_are_models(client: AsyncOpenAI) -> None:
    """Models can be listed and looked up, with their counts."""
    listed = [model async for model in await client.models.list()]
    one: Any = await client.models.retrieve("manual")

    assert [model.id for model in listed] == ["manual"]
    assert one.created == 1_700_000_000
    assert one.rushhour == {"files": 2, "chunks": 7, "embedder": "bge-small", "version": 3}
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve("nowhere")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
async def test_unknown_collection_is_not_found(client: AsyncOpenAI, engine: Any, stream: bool) -> None:
    """A failure before the first piece has its own status, streamed or not."""
    engine.error = UnknownCollection("There is no collection 'nowhere'; there is manual.", param="model")

    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="nowhere", messages=QUESTION, stream=stream)

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id is not None
    assert caught.value.request_id.startswith("req_")


async def test_wrong_key(client: AsyncOpenAI) -> None:
    """A key that nobody has is an authentication error."""
    with pytest.raises(openai.AuthenticationError) as caught:
        await client.with_options(api_key="k2").models.list()
    assert caught.value.code == "invalid_api_key"


async def test_refusal_tells_when_to_come_back(client: AsyncOpenAI, engine: Any) -> None:
    """Overload is a 429 that says how long the queue is, in whole seconds and in milliseconds."""
    engine.error = WouldMissDeadline("Come back in 3.2 s.", retry_after=3.2)

    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="manual", messages=QUESTION)

    headers = caught.value.response.headers
    assert [headers[name] for name in ("retry-after", "retry-after-ms", "x-should-retry")] == ["4", "3200", "true"]


async def test_sdk_does_not_retry_what_cannot_pass(client: AsyncOpenAI, engine: Any) -> None:
    """An account without money is asked once, whatever the client's retries."""
    engine.error = QuotaExhausted("The provider's account is out of credit.")

    with pytest.raises(openai.InternalServerError):
        await client.with_options(max_retries=2).chat.completions.create(model="manual", messages=QUESTION)

    assert len(engine.asked) == 1


async def test_sdk_retries_a_refusal_after_the_advised_time(client: AsyncOpenAI, engine: Any) -> None:
    """The SDK waits as told and is answered the second time."""
    engine.error = WouldMissDeadline("Come back in a moment.", retry_after=0.01)
    engine.error_once = True
    reply = await client.with_options(max_retries=2).chat.completions.create(model="manual", messages=QUESTION)

    assert reply.choices[0].finish_reason == "stop"
    assert len(engine.asked) == 2


async def test_bad_request_names_the_field(client: AsyncOpenAI) -> None:
    """A wrong value is refused with the field's name."""
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="manual", messages=QUESTION, temperature=9)
    assert caught.value.param == "temperature"


async def test_failure_midway_is_an_error_event(client: AsyncOpenAI, engine: Any) -> None:
    """What breaks after the first text is raised by the SDK, not taken for an end."""
    engine.fails_midway = Unavailable("The model went away.")
    stream = await client.chat.completions.create(model="manual", messages=QUESTION, stream=True)

    with pytest.raises(openai.APIError, match="The model went away"):
        _ = [chunk async for chunk in stream]


async def test_patience_becomes_the_deadline(client: AsyncOpenAI, engine: Any) -> None:
    """The SDK's own timeout is what the engine gets to know."""
    await client.with_options(timeout=7).chat.completions.create(model="manual", messages=QUESTION)
    await client.with_options(timeout=600).chat.completions.create(model="manual", messages=QUESTION)

    short, long = (call.deadline for call in engine.calls)
    assert 52 < long - short < 60
