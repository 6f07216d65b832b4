"""When the official OpenAI SDK tries again, and what advice it takes: the simulator counts. Real sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from rushhour.simulator import Simulator, build_profile
from rushhour.simulator.exchange import Reply, Request
from rushhour.simulator.faults.orders import Order

QUICK = {"latency": {"median_s": 0.0, "sigma": 0.0, "slow_share": 0.0}}
ASKED: Any = {"model": "any", "messages": [{"role": "user", "content": "Is anybody there?"}]}


class Advising(Simulator):
    """A simulator whose error replies carry other advice, or another status; it notes what the SDK tells it."""

    def __init__(self, advice: Mapping[str, str], status: int | None = None, **chat: Any) -> None:
        super().__init__(build_profile({"chat": {**QUICK, **chat}}), seed=1)
        self.advice = advice
        self.status = status
        self.retry_counts: list[str] = []

    async def handle(self, request: Request) -> Reply:
        """Serve a call and change the advice of an error."""
        self.retry_counts.append(request.headers.get("x-stainless-retry-count", ""))
        reply = await super().handle(request)
        if reply.status >= 400:
            reply.status = self.status or reply.status
            reply.headers = {name: value for name, value in reply.headers.items() if not name.startswith("retry")}
            reply.headers.update(self.advice)
        return reply


@asynccontextmanager
async def _client(simulator: Simulator, **options: Any) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        simulator,
        openai.AsyncOpenAI(api_key="sdk", base_url=f"{simulator.url}/v1", timeout=5, **options) as client,
    ):
        yield client


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the SDK's own backoff away, which only costs time here."""
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("status", "attempts"), [(400, 1), (401, 1), (404, 1), (408, 3), (409, 3), (422, 1), (429, 3), (500, 3), (599, 3)]
)
async def test_some_statuses_are_tried_again(status: int, attempts: int) -> None:
    """408, 409, 429 and everything from 500 on, two times; it tells the server which attempt it is."""
    simulator = Advising({}, status)
    async with _client(simulator) as client:
        simulator.inject(Order(fault="overloaded", surface="chat", count=9))
        with pytest.raises(openai.APIStatusError) as caught:
            await client.chat.completions.create(**ASKED)

    assert caught.value.status_code == status
    assert simulator.retry_counts == ["0", "1", "2"][:attempts]


@pytest.mark.parametrize(
    ("advice", "attempts"),
    [
        ({"retry-after-ms": "5"}, 3),
        ({"retry-after-ms": "5", "retry-after": "100"}, 3),
        ({"retry-after": "0.01"}, 3),
        ({"retry-after": "121"}, 1),
        ({"retry-after-ms": "120001"}, 1),
        ({"retry-after-ms": "5", "x-should-retry": "false"}, 1),
    ],
)
async def test_advice_is_taken(advice: Mapping[str, str], attempts: int) -> None:
    """Milliseconds before seconds; a wait above two minutes is none worth waiting for; a plain no is obeyed.

    Had the SDK not taken the shorter advice, this test would take minutes.
    """
    simulator = Advising(advice)
    async with _client(simulator) as client:
        simulator.inject(Order(fault="overloaded", surface="chat", count=9))
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(**ASKED)

    assert len(simulator.retry_counts) == attempts


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("advice", "attempts"), [({}, 3), ({"x-should-retry": "false"}, 1)])
async def test_an_empty_purse_is_tried_again_unless_told_not_to(advice: Mapping[str, str], attempts: int) -> None:
    """The SDK does not read the code: only `x-should-retry: false` keeps it from knocking."""
    simulator = Advising(advice)
    async with _client(simulator) as client:
        simulator.inject(Order(fault="insufficient_quota", surface="chat", count=9))
        with pytest.raises(openai.RateLimitError, match="exceeded your current quota"):
            await client.chat.completions.create(**ASKED)
        account = simulator.state()["clients"]["sdk"]

    assert account["total"]["calls"] == attempts
    assert account["retries_after_terminal"] == attempts - 1


@pytest.mark.usefixtures("impatient")
async def test_a_plain_yes_has_a_400_tried_again() -> None:
    """`x-should-retry: true` outranks the status."""
    simulator = Advising({"x-should-retry": "true"}, 400)
    async with _client(simulator) as client:
        simulator.inject(Order(fault="overloaded", surface="chat", count=9))
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(**ASKED)

    assert simulator.retry_counts == ["0", "1", "2"]


async def test_resets_in_the_limit_headers_are_ignored() -> None:
    """Without `retry-after` the SDK comes back by its own clock, too early by the provider's."""
    simulator = Advising({}, rpm=1, burst_s=60)
    async with _client(simulator, max_retries=1) as client:
        await client.chat.completions.create(**ASKED)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(**ASKED)
        account = simulator.state()["clients"]["sdk"]

    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert caught.value.response.headers["x-ratelimit-reset-requests"].startswith("59.")
    assert account["retries_too_early"] == 1
