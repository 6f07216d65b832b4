"""The chat API, called without a socket on virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.simulator.exchange import Request

Make = Callable[..., Any]
PROMPT = """[1] The del statement
The "del" statement removes the binding of a name from a namespace.

Question: What removes the binding of a name?"""


def _events(body: bytes) -> list[Any]:
    lines = body.decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [msgspec.json.decode(line.removeprefix("data: ")) for line in lines[:-2]]


async def test_a_stream_says_the_same_as_the_whole_answer(simulated: Make) -> None:
    """The deltas joined are the message; one id throughout; the role comes first, the reason last."""
    whole = msgspec.json.decode((await simulated(3).chat(PROMPT)).body)
    events = _events((await simulated(3).chat(PROMPT, stream=True)).body)

    text = "".join(event["choices"][0]["delta"].get("content", "") for event in events)
    assert text == whole["choices"][0]["message"]["content"]
    assert '“The "del" statement removes the binding of a name from a namespace.” [1]' in text
    assert {event["id"] for event in events} == {whole["id"]}
    assert events[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [event["choices"][0]["finish_reason"] for event in events] == [None] * (len(events) - 1) + ["stop"]
    assert not any("usage" in event for event in events)


async def test_usage_comes_last_where_it_is_asked_for(simulated: Make) -> None:
    """Every chunk carries `usage: null`, one last chunk without choices carries the figures."""
    reply = await simulated().chat(PROMPT, stream=True, stream_options={"include_usage": True})
    *chunks, last = _events(reply.body)

    assert all(chunk["usage"] is None and chunk["choices"] for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == last["usage"]["prompt_tokens"] + last["usage"]["completion_tokens"]
    assert last["usage"]["completion_tokens"] == sum(bool(c["choices"][0]["delta"].get("content")) for c in chunks)


async def test_a_stream_keeps_a_model_s_pace(simulated: Make, clock: Callable[[], float]) -> None:
    """The reply comes with the first token; then 45 to 105 tokens a second."""
    client = simulated(chat={"latency": {"median_s": 0.5, "sigma": 0, "slow_share": 0}})
    body = msgspec.json.encode({"model": "m", "stream": True, "messages": [{"role": "user", "content": PROMPT}]})
    start = clock()
    reply = await client.simulator.handle(Request("POST", "/v1/chat/completions", body=body))
    assert clock() - start == pytest.approx(0.5)

    times = [clock() async for _ in reply.stream]
    reply.close(delivered=True, sent=0)

    rate = (len(times) - 2) / (times[-1] - times[0])
    assert 45 <= rate <= 105
    assert len(times) > 20


async def test_max_tokens_cuts_the_answer_and_says_so(simulated: Make) -> None:
    """The finish reason is `length`."""
    body = msgspec.json.decode((await simulated().chat(PROMPT, max_completion_tokens=5)).body)

    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize(
    ("charge", "used"), [("max", 500), ("sum", 500 + -(-len(PROMPT) // 4)), ("prompt", -(-len(PROMPT) // 4))]
)
async def test_tokens_are_charged_by_the_profile_s_rule(simulated: Make, charge: str, used: int) -> None:
    """R is the larger of max_tokens and the prompt, their sum, or the prompt alone."""
    client = simulated(chat={"charge": charge, "tpm": 10_000})

    reply = await client.chat(PROMPT, max_tokens=500)

    assert reply.headers["x-ratelimit-remaining-tokens"] == str(10_000 - used)


@pytest.mark.parametrize(
    ("limits", "used", "requested", "says"),
    [
        (
            {"tpm": 1_000_000},
            974_150,
            34_558,
            "on tokens per min (TPM): Limit 1000000, Used 974150, Requested 34558. Please try again in 522ms.",
        ),
        (
            {"tpm": 30_000},
            28_100,
            5_000,
            "on tokens per min (TPM): Limit 30000, Used 28100, Requested 5000. Please try again in 6.2s.",
        ),
        ({"rpm": 1}, 1, 1, "on requests per min (RPM): Limit 1, Used 1, Requested 1. Please try again in 1m0s."),
    ],
)
async def test_a_refusal_has_the_provider_s_words_to_the_millisecond(
    simulated: Make, limits: Any, used: int, requested: int, says: str
) -> None:
    """Two calls at one instant: the second is told the wait of the captured messages."""
    client = simulated(chat={"context_tokens": 2_000_000, **limits})

    _, refused = await asyncio.gather(client.chat("hi", max_tokens=used), client.chat("hi", max_tokens=requested))

    message = msgspec.json.decode(refused.body)["error"]["message"]
    assert message.startswith(f"Rate limit reached for any-model in organization org-simulated {says}")


async def test_too_large_is_429_without_a_time_to_come_back(simulated: Make) -> None:
    """A call that can never fit is not told to wait, and counts as terminal."""
    client = simulated(chat={"tpm": 1_000})

    replies = [await client.chat("hi", max_tokens=2_000) for _ in range(2)]

    error = msgspec.json.decode(replies[0].body)["error"]
    assert (replies[0].status, error["type"], error["code"]) == (429, "tokens", "rate_limit_exceeded")
    assert error["message"].startswith("Request too large for any-model in organization org-simulated")
    assert "retry-after" not in replies[0].headers
    account = client.simulator.state()["clients"]["tester"]
    assert account["retries_after_terminal"] == 1
    assert account["surfaces"]["chat"]["throttled"] == {"too_large": 2}


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ({"messages": []}, "empty_array", "minimum length 1"),
        ({"messages": "hi"}, None, "Expected `array`"),
        ({"n": 2}, None, "one choice"),
        ({"max_tokens": -1}, "integer_below_min_value", "'max_tokens': integer below minimum value"),
        ({"max_completion_tokens": 0}, "integer_below_min_value", "'max_completion_tokens'"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "invalid_parameter_combination", "at the same time"),
        ({"stream_options": {"include_usage": True}}, None, "only allowed when 'stream' is enabled"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "array_above_max_length", "maximum length 4"),
        (
            {"messages": [{"role": "user", "content": "x" * 600_000}]},
            "context_length_exceeded",
            "However, your messages resulted in 150007 tokens.",
        ),
        ({"max_tokens": 200_000}, "context_length_exceeded", "maximum context length is 128000"),
    ],
)
async def test_bad_requests_are_400_and_say_why(simulated: Make, more: Any, code: str | None, says: str) -> None:
    """Each kind has the provider's code."""
    reply = await simulated().chat("hi", **more)
    error = msgspec.json.decode(reply.body)["error"]

    assert (reply.status, error["code"]) == (400, code)
    assert says in error["message"]


@pytest.mark.parametrize("stop", [" statement", [" zebra", " statement"]])
async def test_a_stop_sequence_ends_the_answer_before_it(simulated: Make, stop: Any) -> None:
    """The sequence is not part of the answer, and the reason is `stop`."""
    [choice] = msgspec.json.decode((await simulated().chat(PROMPT, stop=stop)).body)["choices"]

    assert choice["message"]["content"] == 'The context says: “The "del"'
    assert choice["finish_reason"] == "stop"


async def test_beginnings_seen_lately_are_cached_and_cost_less(simulated: Make) -> None:
    """From 1,024 tokens on, in steps of 128, until five minutes pass; each model remembers its own."""
    client = simulated(chat={"price_in": 10.0, "price_cached_in": 1.0, "price_out": 0.0, "tpm": 10_000_000})
    system = {"role": "system", "content": "Answer from the manual. " * 220}

    async def ask(question: str, model: str = "m") -> tuple[int, int, float]:
        before = client.simulator.state()["surfaces"].get("chat", {"cost_usd": 0.0})["cost_usd"]
        reply = await client.chat(messages=[system, {"role": "user", "content": question}], model=model)
        usage = msgspec.json.decode(reply.body)["usage"]
        cost = client.simulator.state()["surfaces"]["chat"]["cost_usd"] - before
        return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], cost * 1e6

    first, second, other = await ask("What is one?"), await ask("What is two?"), await ask("What is two?", "other")
    await asyncio.sleep(301)
    late = await ask("What is two?")

    assert first[1] == other[1] == late[1] == 0
    assert second[1] == 1_280
    assert first[2] == pytest.approx(10 * first[0])
    assert second[2] == pytest.approx(10 * (second[0] - 1_280) + 1_280)


async def test_short_prompts_are_not_cached(simulated: Make) -> None:
    """The same prompt of fewer than 1,024 tokens costs the same again."""
    client = simulated()
    usages = [msgspec.json.decode((await client.chat("x" * 4_000)).body)["usage"] for _ in range(2)]

    assert [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages] == [0, 0]


async def test_content_may_come_in_parts(simulated: Make) -> None:
    """A list of text parts is read as one text."""
    parts = [{"type": "text", "text": PROMPT}]

    reply = await simulated().chat("", messages=[{"role": "user", "content": parts}])

    assert b"[1]" in reply.body


async def test_a_crowd_makes_everybody_slower(simulated: Make, clock: Callable[[], float]) -> None:
    """The hundredth concurrent call waits for the queue that the others are."""
    client = simulated(
        chat={
            "rpm": 10_000,
            "tpm": 10_000_000,
            "latency": {"median_s": 0.5, "sigma": 0, "slow_share": 0, "capacity": 200},
        }
    )
    start, times = clock(), []

    async def ask() -> None:
        body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
        reply = await client.simulator.handle(Request("POST", "/v1/chat/completions", body=body))
        times.append(clock() - start)
        reply.close(delivered=False, sent=0)

    async with asyncio.TaskGroup() as crowd:
        for _ in range(101):
            crowd.create_task(ask())

    assert times[0] == pytest.approx(0.5)
    assert times[-1] == pytest.approx(1.0)
    load = client.simulator.state()["load"]["chat"]
    assert (load["in_flight"], load["peak"]) == (0, 101)


async def test_a_client_that_leaves_gives_its_place_back(simulated: Make) -> None:
    """A cancelled call is counted as abandoned and holds nothing."""
    client = simulated()
    call = asyncio.create_task(client.chat(PROMPT))
    await asyncio.sleep(0.01)

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    state = client.simulator.state()
    assert state["load"]["chat"]["in_flight"] == 0
    assert state["clients"]["tester"]["surfaces"]["chat"]["abandoned"] == 1
