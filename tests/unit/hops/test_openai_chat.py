"""The chat adapter against a scripted provider, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.errors import (
    AttemptTimeout,
    ConnectionLost,
    MalformedReply,
    QuotaExhausted,
    Throttled,
    TruncatedStream,
    Unavailable,
)
from rushhour.flow.call import Call, Event
from rushhour.hops.contract import ChatDelta, ChatRequest, Message, Usage, Used
from rushhour.hops.limit_headers import LimitsSeen
from rushhour.hops.openai_chat import OpenAIChat

Provider = Callable[..., Any]
Arriving = Callable[..., Any]
ASK = ChatRequest((Message("system", "Be brief."), Message("user", "Why is the sky blue?")), max_tokens=50)


def event(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    """Write one chunk as OpenAI does."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": None, **more}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


ROLE = event("", role="assistant")
STOP = event(None, "stop")
USAGE = event(
    choices=[], usage={"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}
)
DONE = b"data: [DONE]\n\n"
COUNTED = Usage(input_tokens=12, cached_tokens=4, output_tokens=3)
WHOLE = [ROLE, event("Ray"), event("leigh"), STOP, USAGE, DONE]


async def read(api: Any, call: Call | None = None, **options: Any) -> list[ChatDelta]:
    """Ask and read to the end."""
    stream = await OpenAIChat(api, "m", **options)(ASK, call or Call())
    async with stream:
        return [delta async for delta in stream]


async def test_streams_the_answer_and_its_usage(provider: Provider, arriving: Arriving) -> None:
    """Texts in order, then one last delta with finish reason and usage; the body is read to its end."""
    seen: list[Event] = []
    body = arriving(list(WHOLE), headers={"x-ratelimit-limit-requests": "60"})
    api = provider(body)

    deltas = await read(api, Call(emit=seen.append, hop="chat"))

    assert deltas == [ChatDelta("Ray"), ChatDelta("leigh"), ChatDelta("", "stop", COUNTED)]
    assert [type(one) for one in seen] == [LimitsSeen, Used]
    assert seen[1] == Used("chat", "m", COUNTED)
    assert body.drained
    assert body.closed


async def test_asks_with_usage_and_without_an_unset_temperature(provider: Provider, arriving: Arriving) -> None:
    """Some models refuse a temperature, so silence is not zero."""
    api = provider(arriving(list(WHOLE)))
    await read(api)
    assert api.sent[0].path == "/chat/completions"
    assert api.sent[0].json == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
        "max_tokens": 50,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_the_name_of_the_limit_and_the_temperature_can_be_chosen(provider: Provider, arriving: Arriving) -> None:
    """Reasoning models know only max_completion_tokens."""
    api = provider(arriving(list(WHOLE)))
    chat = OpenAIChat(api, "m", max_tokens_key="max_completion_tokens")
    async with await chat(ChatRequest(ASK.messages, 9, temperature=0.0), Call()):
        pass
    assert api.sent[0].json["max_completion_tokens"] == 9
    assert api.sent[0].json["temperature"] == 0
    assert "max_tokens" not in api.sent[0].json


async def test_returns_only_with_the_first_text(provider: Provider, arriving: Arriving) -> None:
    """Roles and comments are not an answer yet."""
    api = provider(arriving([b": wait\n\n", 2.0, ROLE, 3.0, event("Hi"), 10.0, STOP, DONE]))
    stream = await OpenAIChat(api, "m", 30)(ASK, Call())
    assert asyncio.get_running_loop().time() == 5
    await stream.aclose()


async def test_texts_that_arrive_together_are_one_delta(provider: Provider, arriving: Arriving) -> None:
    """Under load this saves most of the work downstream."""
    assert await read(provider(arriving([b"".join(WHOLE)]))) == [ChatDelta("Rayleigh"), ChatDelta("", "stop", COUNTED)]


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([], TruncatedStream),
        ([ROLE], TruncatedStream),
        ([ROLE, b'data: {"error":{"message":"busy","type":"server_error"}}\n\n'], Unavailable),
        ([b'data: {"error":{"message":"pay","code":"insufficient_quota"}}\n\n'], QuotaExhausted),
        ([b"data: {not json}\n\n"], MalformedReply),
        ([b'data: {"choices":7}\n\n'], MalformedReply),
        ([ROLE, ConnectionLost("reset")], ConnectionLost),
    ],
)
async def test_what_fails_before_the_first_text_fails_the_call(
    provider: Provider, arriving: Arriving, pieces: list[Any], error: type[Exception]
) -> None:
    """There it can still be retried; nothing is accounted, and the connection is closed."""
    seen: list[Event] = []
    body = arriving(list(pieces))
    with pytest.raises(error):
        await OpenAIChat(provider(body), "m")(ASK, Call(emit=seen.append))
    assert body.closed
    assert seen == []


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ([event("Ray")], TruncatedStream),
        ([event("Ray"), event("lei")[:-20]], MalformedReply),
        ([event("Ray"), b'data: {"error":{"message":"busy","code":429}}\n\n'], Throttled),
        ([event("Ray"), ConnectionLost("reset")], ConnectionLost),
        ([event("Ray"), AttemptTimeout("slow")], AttemptTimeout),
    ],
)
async def test_a_cut_answer_is_never_a_silent_success(
    provider: Provider, arriving: Arriving, pieces: list[Any], error: type[Exception]
) -> None:
    """After the first text the stream itself fails, and what was generated is accounted by estimate."""
    seen: list[Event] = []
    body = arriving(list(pieces))
    stream = await OpenAIChat(provider(body), "m")(ASK, Call(emit=seen.append))
    assert (await anext(stream)).text == "Ray"
    with pytest.raises(error):
        await anext(stream)
    assert body.closed
    assert seen == [Used("", "m", Usage(input_tokens=8, output_tokens=1))]


@pytest.mark.parametrize(
    "pieces",
    [
        [event("Hi"), STOP],
        [event("Hi"), STOP, ConnectionLost("reset")],
        [event("Hi"), DONE],
        [event("Hi"), STOP, b"data: [DONE]"],
    ],
)
async def test_an_answer_is_whole_with_a_finish_reason_or_done(
    provider: Provider, arriving: Arriving, pieces: list[Any]
) -> None:
    """Either is enough, even if the connection breaks after it; usage is then estimated."""
    assert await read(provider(arriving(list(pieces)))) == [ChatDelta("Hi"), ChatDelta("", "stop", Usage(8, 0, 1))]


async def test_an_answer_may_be_empty(provider: Provider, arriving: Arriving) -> None:
    """A content filter says nothing but why."""
    body = arriving([ROLE, event(None, "content_filter"), DONE])
    assert [d.finish_reason for d in await read(provider(body))] == ["content_filter"]


async def test_a_refusal_text_is_text(provider: Provider, arriving: Arriving) -> None:
    """OpenAI streams refusals in a field of their own."""
    choice = {"index": 0, "delta": {"refusal": "No."}, "finish_reason": None}
    deltas = await read(provider(arriving([event(choices=[choice]), STOP, DONE])))
    assert deltas[0] == ChatDelta("No.")


async def test_a_status_is_mapped_after_reading_the_body(provider: Provider, arriving: Arriving) -> None:
    """The body says which kind of 429 it is, and reading it to the end saves the connection."""
    seen: list[Event] = []
    refusal = arriving(
        [b'{"error":{"message":"Please ', b'try again in 2s."}}'],
        status=429,
        headers={"x-ratelimit-remaining-requests": "0"},
    )
    with pytest.raises(Throttled) as caught:
        await OpenAIChat(provider(refusal), "m")(ASK, Call(emit=seen.append))
    assert caught.value.retry_after == 2
    assert refusal.drained
    assert refusal.closed
    assert [type(one) for one in seen] == [LimitsSeen]


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b'{"error":{"message":"busy","code":503}}', "application/json", Unavailable),
        (b'{"choices":[{"message":{"content":"hi"}}]}', "application/json; charset=utf-8", MalformedReply),
        (b"<html>Sign in</html>", "text/html", MalformedReply),
    ],
)
async def test_a_200_that_is_no_stream_is_an_error(
    provider: Provider, arriving: Arriving, body: bytes, kind: str, error: type[Exception]
) -> None:
    """Gateways wrap errors into 200, portals answer pages."""
    with pytest.raises(error):
        await OpenAIChat(provider(arriving([body], headers={"content-type": kind})), "m")(ASK, Call())


async def test_comments_do_not_extend_the_time_to_the_first_text(provider: Provider, arriving: Arriving) -> None:
    """A slow drip of keep-alives would defeat a timeout a read."""
    body = arriving([b": still here\n\n", 0.9] * 100)
    with pytest.raises(AttemptTimeout, match="RUSHHOUR_TEST__TIMEOUT_S"):
        await OpenAIChat(provider(body), "m", 5)(ASK, Call())
    assert asyncio.get_running_loop().time() == 5
    assert body.closed


async def test_an_answer_that_drips_is_given_up_like_one_that_stands_still(
    provider: Provider, arriving: Arriving
) -> None:
    """A word every four seconds defeats a timeout a read, and would be waited for until the deadline."""
    body = arriving([event("It "), *[4.0, event("drips ")] * 100])
    stream = await OpenAIChat(provider(body), "m", 10, read_timeout_s=20)(ASK, Call())
    with pytest.raises(AttemptTimeout, match=r"30 bytes .* in 20 s.*RUSHHOUR_TEST__TIMEOUT_S"):
        async with stream:
            [delta async for delta in stream]
    assert asyncio.get_running_loop().time() == pytest.approx(20, abs=1)
    assert body.closed


@pytest.mark.parametrize(
    "pieces", [[1.0, event("walks ")] * 100, [15.0, event("A sentence of sixty bytes, at once. " * 2)]]
)
async def test_a_slow_model_may_take_its_time(
    provider: Provider, arriving: Arriving, pieces: list[bytes | float]
) -> None:
    """A word a second is slow, and so is a sentence now and then, but both come to an end."""
    body = arriving([event("It "), *pieces, STOP, 30.0, DONE])
    deltas = await read(provider(body), timeout_s=10, read_timeout_s=20)
    assert deltas[-1].finish_reason == "stop"


async def test_a_cancelled_call_closes_the_connection(provider: Provider, arriving: Arriving) -> None:
    """The provider should stop working for nobody."""
    body = arriving([ROLE, 60.0])
    task = asyncio.create_task(OpenAIChat(provider(body), "m")(ASK, Call()))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert body.closed


async def test_leaving_early_aborts_and_accounts(provider: Provider, arriving: Arriving) -> None:
    """A reader who leaves ends the provider's work; what it did is estimated, once."""
    seen: list[Event] = []
    body = arriving([event("twelve chars"), event("never read")])
    stream = await OpenAIChat(provider(body), "m")(ASK, Call(emit=seen.append))
    async with stream:
        await anext(stream)
    await stream.aclose()
    assert body.closed
    assert not body.drained
    assert seen == [Used("", "m", Usage(input_tokens=8, output_tokens=3))]


async def test_a_body_that_does_not_end_costs_half_a_second(provider: Provider, arriving: Arriving) -> None:
    """After the answer is whole, only the connection is at stake."""
    body = arriving([event("Hi"), STOP, DONE, 99.0])
    deltas = await read(provider(body), gather_s=0.0)
    assert deltas[-1].finish_reason == "stop"
    assert asyncio.get_running_loop().time() == 0.5
    assert body.closed


async def test_the_first_text_is_passed_on_at_once_and_later_ones_gather(
    provider: Provider, arriving: Arriving
) -> None:
    """Nobody waits for the first word; after it a lone reader's socket is read twenty times a second."""
    body = arriving([event("Hi"), event(" there"), STOP, DONE])
    loop = asyncio.get_running_loop()
    async with await OpenAIChat(provider(body), "m")(ASK, Call()) as stream:
        arrived = [(delta.text, round(loop.time(), 3)) async for delta in stream]
    assert arrived == [("Hi", 0.0), (" there", 0.05), ("", 0.15)]


async def test_tokens_gather_longer_while_many_streams_are_open(provider: Provider, arriving: Arriving) -> None:
    """In a rush hour updates come four times a second, and often again when it is over."""
    bodies = [arriving([event("Hi"), event(" there"), STOP, DONE]) for _ in range(101)]
    chat = OpenAIChat(provider(*bodies), "m")
    loop = asyncio.get_running_loop()
    streams = [await chat(ASK, Call()) for _ in bodies]

    await anext(streams[0])
    await anext(streams[0])
    assert loop.time() == pytest.approx(0.25)

    for stream in streams[1:]:
        await stream.aclose()
    await anext(streams[0])
    assert loop.time() == pytest.approx(0.35)
    await streams[0].aclose()
