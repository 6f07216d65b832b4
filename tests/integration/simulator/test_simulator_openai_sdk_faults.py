"""Each fault as the official OpenAI SDK sees it: the exception it raises, and how often it tried. Real sockets."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import openai
import pytest

from rushhour.simulator import Simulator
from rushhour.simulator.faults.orders import Order

pytestmark = pytest.mark.slow

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
SHORT_S = 1.0
"""The patience of a client that is to lose it; long enough for a busy machine to hear of every attempt before that."""
PROMPT = "Context:\nTuples are immutable sequences of objects.\n\nQuestion: What are immutable sequences?"
ASKED: Any = {"model": "any", "messages": [{"role": "user", "content": PROMPT}]}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the SDK's own backoff away, which only costs time here; waits that a reply advises stay."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)


async def _complete(kind: str, simulator: Simulator, **options: Any) -> Any:
    """Ask once for a completion, with the synchronous client in a thread or with the asynchronous one."""
    options = {"api_key": "sdk", "base_url": f"{simulator.url}/v1", **options}
    if kind == "async":
        async with openai.AsyncOpenAI(**options) as client:
            return await client.chat.completions.create(**ASKED)

    def ask() -> Any:
        with openai.OpenAI(**options) as client:
            return client.chat.completions.create(**ASKED)

    return await asyncio.to_thread(ask)


async def _stream(kind: str, simulator: Simulator, timeout: float = 5.0) -> list[Any]:
    """Ask once for a stream, and return its chunks."""
    options: Any = {"api_key": "sdk", "base_url": f"{simulator.url}/v1", "timeout": timeout}
    if kind == "async":
        async with openai.AsyncOpenAI(**options) as client:
            return [chunk async for chunk in await client.chat.completions.create(**ASKED, stream=True)]

    def ask() -> list[Any]:
        with openai.OpenAI(**options) as client:
            return list(client.chat.completions.create(**ASKED, stream=True))

    return await asyncio.to_thread(ask)


def _account(simulator: Simulator) -> Any:
    """Return what the ledger says, read once the simulator has stopped: by then every call is settled."""
    return simulator.state()["clients"]["sdk"]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("rpm_limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("tpm_limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("too_large", openai.RateLimitError, "rate_limit_exceeded"),
        ("insufficient_quota", openai.RateLimitError, "insufficient_quota"),
        ("project_spend_limit_exceeded", openai.RateLimitError, "project_spend_limit_exceeded"),
        ("server_error", openai.InternalServerError, None),
        ("overloaded", openai.InternalServerError, "server_is_overloaded"),
        ("bad_gateway", openai.InternalServerError, None),
        ("origin_error", openai.InternalServerError, None),
    ],
)
async def test_errors_with_a_status_are_tried_three_times(
    listening: Make, kind: str, fault: str, error: type[openai.APIStatusError], code: str | None
) -> None:
    """Every 429 and 5xx alike, also those that can never succeed; then the SDK's own type, with the provider's code."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="chat", count=10))
        with pytest.raises(error) as caught:
            await _complete(kind, simulator, timeout=30)

    account = _account(simulator)
    assert caught.value.code == code
    assert account["total"]["calls"] == 3
    assert account["retries_after_terminal"] == (
        2 if fault in {"too_large", "insufficient_quota"} or "spend" in fault else 0
    )


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", openai.APIConnectionError),
        ("closed", openai.APIConnectionError),
        ("truncated_body", openai.APIConnectionError),
        ("cut", openai.APIConnectionError),
        ("hang", openai.APITimeoutError),
        ("slow_drip", openai.APITimeoutError),
    ],
)
async def test_broken_connections_are_tried_three_times(
    listening: Make, kind: str, fault: str, error: type[openai.APIConnectionError]
) -> None:
    """Before, in and after the headers, as long as the answer was not to be streamed."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="chat", count=10))
        with pytest.raises(error):
            await _complete(kind, simulator, timeout=SHORT_S if error is openai.APITimeoutError else 30)

    assert _account(simulator)["total"]["faults"] == {fault: 3}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("fault", ["rpm_limit", "overloaded", "bad_gateway", "reset", "closed", "truncated_body"])
async def test_what_passes_is_survived(listening: Make, kind: str, fault: str) -> None:
    """Two failures and then an answer: the caller sees only the answer."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="chat", count=2))
        completion = await _complete(kind, simulator, timeout=30)

    total = _account(simulator)["total"]
    assert completion.choices[0].finish_reason == "stop"
    assert (total["calls"], total["ok"]) == (3, 1)


async def test_an_idle_connection_that_closes_is_tried_again(listening: Make) -> None:
    """The call that met the closing connection goes out once more over a new one."""
    async with (
        listening() as simulator,
        openai.AsyncOpenAI(api_key="sdk", base_url=f"{simulator.url}/v1") as client,
    ):
        await client.chat.completions.create(**ASKED)
        simulator.inject(Order(fault="idle_close", surface="chat", count=1))
        completion = await client.chat.completions.create(**ASKED)

    account = _account(simulator)
    assert completion.choices[0].finish_reason == "stop"
    assert account["total"]["faults"] == {"idle_close": 1}
    assert account["connections"]["opened"] == 2


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_stream_that_ends_too_early_is_taken_for_whole(listening: Make, kind: str) -> None:
    """No finish reason, no [DONE], no exception: the caller cannot tell unless it looks."""
    async with listening() as simulator:
        simulator.inject(Order(fault="no_done", count=1))
        chunks = await _stream(kind, simulator)

    assert _account(simulator)["total"]["calls"] == 1
    assert len(chunks) >= 3
    assert {choice.finish_reason for chunk in chunks for choice in chunk.choices} == {None}


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("sse_error", openai.APIError),
        ("truncated_body", openai.APIConnectionError),
        ("cut", openai.APIConnectionError),
        ("stall", openai.APITimeoutError),
        ("slow_drip", openai.APITimeoutError),
    ],
)
async def test_a_stream_that_breaks_is_never_tried_again(
    listening: Make, kind: str, fault: str, error: type[Exception]
) -> None:
    """Once it began, a break in the stream is the caller's to deal with."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="chat", count=10))
        with pytest.raises(error):
            await _stream(kind, simulator, timeout=SHORT_S if error is openai.APITimeoutError else 30)

    assert _account(simulator)["total"]["calls"] == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("fault", ["reset", "overloaded", "insufficient_quota"])
async def test_a_stream_that_never_began_is_tried_three_times(listening: Make, kind: str, fault: str) -> None:
    """Until the headers are there a stream is a call like any other."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="chat", count=10))
        with pytest.raises(openai.OpenAIError):
            await _stream(kind, simulator)

    assert _account(simulator)["total"]["calls"] == 3


async def test_an_error_event_of_a_response_is_only_an_event(listening: Make) -> None:
    """The responses stream hands the error over as an event, and ends without an exception."""
    async with (
        listening() as simulator,
        openai.AsyncOpenAI(api_key="sdk", base_url=f"{simulator.url}/v1") as client,
    ):
        simulator.inject(Order(fault="sse_error", count=1))
        stream = await client.responses.create(model="any", input=PROMPT, stream=True)
        names = [event.type async for event in stream]

    assert names[0] == "response.created"
    assert names[-1] == "error"
