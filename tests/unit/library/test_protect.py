"""Somebody's own function with all policies round it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from rushhour import (
    AttemptTimeout,
    CircuitOpen,
    ConnectionLost,
    DeadlineExceeded,
    Event,
    Limits,
    QuotaExhausted,
    Rejected,
    RushhourError,
    Stream,
    Throttled,
    Unavailable,
    WouldMissDeadline,
    protect,
    streaming,
)
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.hedge import Hedged
from rushhour.flow.policies.pace import Gated, Queued
from rushhour.flow.policies.retry import Retried
from rushhour.flow.policies.reuse import Reused


class Busy(Exception):
    """What the provider's own client raises, with its advice."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"busy for {wait} s")
        self.wait = wait


class Upstream:
    """A provider that plays a script: replies, exceptions, or a coroutine function to run."""

    def __init__(self, *script: Any, seconds: float = 0.0) -> None:
        self.script = list(script)
        self.seconds = seconds
        self.asked: list[tuple[float, Any]] = []
        self.running = self.peak = 0

    async def __call__(self, request: Any) -> Any:
        self.asked.append((asyncio.get_running_loop().time(), request))
        outcome = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def times(self) -> list[float]:
        return [moment for moment, _ in self.asked]


async def test_a_plain_call_goes_straight_through() -> None:
    """Nothing to protect from: the request goes in, the reply comes out."""
    upstream = Upstream("answer")
    assert await protect(upstream)("question") == "answer"
    assert upstream.asked == [(0, "question")]


async def test_calls_are_paced_to_the_limit() -> None:
    """Sixty a minute, one at once: three calls take two seconds."""
    upstream = Upstream("ok")
    chat = protect(upstream, limits=Limits(requests_per_minute=60, burst_s=1, use=1))

    await asyncio.gather(*(chat(n) for n in range(3)))

    assert upstream.times == pytest.approx([0, 1, 2])


async def test_tokens_are_paced_too() -> None:
    """What a call is charged is what the caller counts."""
    upstream = Upstream("ok")
    limits = Limits(tokens_per_minute=600, burst_s=1, use=1)
    chat: Callable[..., Any] = protect(upstream, limits=limits, tokens=len)

    await asyncio.gather(*(chat("x" * 20) for _ in range(3)))

    assert upstream.times == pytest.approx([0, 2, 4])


async def test_a_429_is_waited_for_as_advised() -> None:
    """The caller never sees it, and the original is the cause of what the events tell."""
    busy = Busy(7)
    seen: list[Event] = []
    upstream = Upstream(busy, "ok")
    chat = protect(upstream, errors={Busy: lambda error: Throttled(str(error), retry_after=error.wait)})

    assert await chat("q", watch=seen.append) == "ok"

    assert 7 <= upstream.times[1] <= 7 * 1.21
    retried = next(event for event in seen if isinstance(event, Retried))
    assert retried.cause.__cause__ is busy
    assert any(isinstance(event, Gated) for event in seen)


async def test_a_mapping_may_name_one_of_our_classes() -> None:
    """Subclasses are covered by their base; the message tells the original's name and words."""
    upstream = Upstream(Busy(1), "ok")
    assert await protect(upstream, errors=[{Exception: Unavailable}])("q") == "ok"
    with pytest.raises(Rejected, match=r"Busy: busy for 1 s") as caught:
        await protect(Upstream(Busy(1)), errors={Exception: Rejected})("q")
    assert isinstance(caught.value.__cause__, Busy)


async def test_what_nobody_knows_is_raised_as_it_is() -> None:
    """A bug in the function is not retried, and keeps its type."""
    upstream = Upstream(KeyError("typo"))
    with pytest.raises(KeyError, match="typo"):
        await protect(upstream)("q")
    assert len(upstream.asked) == 1


async def test_network_failures_are_known_without_being_told() -> None:
    """Python's own connection errors and timeouts are retried."""
    upstream = Upstream(ConnectionResetError("gone"), TimeoutError(), "ok")
    assert await protect(upstream)("q") == "ok"
    assert len(upstream.asked) == 3


async def test_an_attempt_that_hangs_is_cut_and_repeated() -> None:
    """The timeout is per attempt, the deadline for all of them."""
    upstream = Upstream("late", seconds=50)
    with pytest.raises(AttemptTimeout, match="timeout_s=2"):
        await protect(upstream, timeout_s=2)("q", deadline_s=2.001)
    with pytest.raises(RushhourError):
        await protect(upstream, timeout_s=2)("q", deadline_s=9)
    assert asyncio.get_running_loop().time() < 12
    assert len(upstream.asked) > 3


async def test_the_deadline_bounds_everything() -> None:
    """The caller's patience ends the call, wherever it is."""
    chat = protect(Upstream("late", seconds=50), deadline_s=5)
    with pytest.raises(DeadlineExceeded):
        await chat("q")
    with pytest.raises(DeadlineExceeded):
        await chat("q", deadline_s=-1)
    assert asyncio.get_running_loop().time() == 5


async def test_who_cannot_be_served_in_time_is_told_at_once() -> None:
    """The refusal says when to come back."""
    chat = protect(Upstream("ok"), limits=Limits(requests_per_minute=60, burst_s=1, use=1))
    waiting = [asyncio.ensure_future(chat(n)) for n in range(10)]
    await asyncio.sleep(0)
    with pytest.raises(WouldMissDeadline) as refused:
        await chat("q", deadline_s=2)
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 5
    await asyncio.gather(*waiting)


async def test_people_go_before_background_work() -> None:
    """And tenants take turns."""
    upstream = Upstream("ok")
    chat = protect(upstream, limits=Limits(requests_per_minute=60, burst_s=1, use=1))
    first = asyncio.ensure_future(chat("first"))
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(chat(f"work {n}", background=True, tenant="ingest")) for n in range(3)]
    waiting += [asyncio.ensure_future(chat(f"flood {n}", tenant="mallory")) for n in range(3)]
    waiting += [asyncio.ensure_future(chat("alice", tenant="alice"))]
    await asyncio.gather(first, *waiting)

    order = [request for _, request in upstream.asked]
    assert order.index("alice") <= 3
    assert order.index("flood 2") < order.index("work 2")


async def test_no_more_than_so_many_at_once() -> None:
    """The cap holds, and permits come back after failures and cancellations too."""
    upstream = Upstream("ok", KeyError(), "ok", seconds=1)
    chat = protect(upstream, concurrency=2)
    calls = [asyncio.ensure_future(chat(n)) for n in range(7)]
    await asyncio.sleep(0.5)
    calls[0].cancel()
    await asyncio.gather(*calls, return_exceptions=True)

    assert upstream.peak == 2
    assert await chat("one more") == "ok"


async def test_a_fallback_answers_when_the_function_is_down() -> None:
    """Out of money is no reason to keep anybody waiting; what happened is told."""
    seen: list[Event] = []

    async def small_model(request: str) -> str:
        return f"small answer to {request}"

    chat = protect(Upstream(QuotaExhausted()), fallback=small_model)

    assert await chat("q", watch=seen.append) == "small answer to q"
    assert [event.label for event in seen if isinstance(event, Degraded)] == ["small_model"]
    assert await chat("q2") == "small answer to q2"


async def test_a_protected_fallback_knows_the_call() -> None:
    """Its own policies see the same tenant, deadline and watcher."""
    seen: list[Event] = []
    spare = Upstream(ConnectionError(), "spare")
    chat = protect(Upstream(QuotaExhausted()), fallback=[protect(spare, name="spare")], name="main")

    assert await chat("q", watch=seen.append) == "spare"
    assert {event.hop for event in seen if isinstance(event, Retried)} == {"spare"}


async def test_a_circuit_opens_when_nothing_works() -> None:
    """After enough failures the function rests, and callers are told for how long."""
    upstream = Upstream(Unavailable())
    chat = protect(upstream)
    for n in range(30):
        with pytest.raises(RushhourError):
            await chat(n, deadline_s=0.3)
    before = len(upstream.asked)
    with pytest.raises(CircuitOpen) as rests:
        await chat("q", deadline_s=0.1)
    assert rests.value.retry_after is not None
    assert len(upstream.asked) == before


async def test_equal_requests_of_a_tenant_are_answered_once() -> None:
    """In flight and from the cache; another tenant pays for its own."""
    seen: list[Event] = []
    upstream = Upstream("ok", seconds=1)
    embed = protect(upstream, key=lambda request: request, watch=seen.append)

    await asyncio.gather(*(embed("same") for _ in range(5)))
    await embed("same")
    await embed("same", tenant="alice")
    await embed("other")

    assert [request for _, request in upstream.asked] == ["same", "same", "other"]
    assert [event.how for event in seen if isinstance(event, Reused)] == ["in_flight"] * 4 + ["cache"]


async def test_a_request_without_a_key_is_never_reused() -> None:
    """None says so; and without a cache only calls in flight are joined."""
    upstream = Upstream("ok", seconds=1)
    embed = protect(upstream, key=lambda _request: None)
    await asyncio.gather(embed("same"), embed("same"))
    assert len(upstream.asked) == 2

    joined = Upstream("ok", seconds=1)
    embed = protect(joined, key=lambda request: request, cache=0)
    await asyncio.gather(embed("same"), embed("same"))
    await embed("same")
    assert len(joined.asked) == 2


async def test_an_idempotent_call_that_is_late_is_hedged() -> None:
    """After enough samples an unusually slow call is made again, and the faster one wins."""
    seen: list[Event] = []
    asked: list[int] = []

    async def query(request: int) -> str:
        asked.append(request)
        await asyncio.sleep(30.0 if request == 60 and asked.count(60) == 1 else 0.1 + request / 1000)
        return "ok"

    search = protect(query, idempotent=True, watch=seen.append)
    for n in range(61):
        await search(n)

    assert asked.count(60) == 2
    assert any(isinstance(event, Hedged) for event in seen)
    assert asyncio.get_running_loop().time() < 10


class Response:
    """A reply with headers, as HTTP clients return it."""

    def __init__(self, remaining: int) -> None:
        self.headers = {"X-RateLimit-Limit-Requests": "60", "X-RateLimit-Remaining-Requests": str(remaining)}


async def test_limits_are_learned_from_the_replies_headers() -> None:
    """Nobody told the limit; the first reply did, and its bucket is empty."""
    upstream = Upstream(Response(0))
    seen: list[Event] = []
    chat = protect(upstream)
    await chat(0)
    await asyncio.gather(*(chat(n, watch=seen.append) for n in (1, 2)))

    assert any(isinstance(event, Queued) for event in seen)
    assert asyncio.get_running_loop().time() >= 0.5


async def test_limits_are_found_where_the_caller_says() -> None:
    """A reply that keeps its headers elsewhere, or none at all."""
    upstream = Upstream(("answer", {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}))
    chat = protect(upstream, limits_of=lambda reply: reply[1])
    await chat(0)
    await chat(1)
    assert upstream.times[1] >= 0.5


async def test_limits_of_that_fails_leaves_no_stream_open() -> None:
    """The caller's bug is raised, and the stream it was looking at is closed."""
    closed: list[bool] = []

    @streaming
    async def talk(_request: str) -> AsyncIterator[str]:
        async def words() -> AsyncIterator[str]:
            try:
                yield "a"
                yield "b"
            finally:
                closed.append(True)

        return words()

    with pytest.raises(ZeroDivisionError):
        await protect(talk, limits_of=lambda _reply: 1 // 0)("q")  # type: ignore[arg-type,return-value]  # a bug
    assert closed == [True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout_s": 0}, "timeout_s is 0"),
        ({"timeout_s": math.inf}, "timeout_s is inf"),
        ({"cache": -1}, "cache is -1"),
        ({"concurrency": 0}, "concurrency limit is 0"),
    ],
)
def test_absurd_options_are_refused_at_once(options: Any, message: str) -> None:
    """The message names the option and its value."""
    with pytest.raises(ValueError, match=message):
        protect(Upstream("ok"), **options)


async def test_absurd_values_of_a_call_are_refused() -> None:
    """Before they reach anybody's sums."""
    chat: Callable[..., Any] = protect(Upstream("ok"), tokens=lambda request: request)
    for tokens in (-1, math.nan, math.inf):
        with pytest.raises(ValueError, match="tokens"):
            await chat(tokens)
    with pytest.raises(ValueError, match="deadline_s"):
        await chat(1, deadline_s=math.nan)
    assert await chat(1) == "ok"


def test_an_async_generator_is_told_how_to_be_wrapped() -> None:
    """Its first item could not be waited for otherwise."""

    async def talk(_request: str) -> AsyncIterator[str]:
        yield "a"

    with pytest.raises(TypeError, match=r"protect\(streaming\(talk\)"):
        protect(talk)  # type: ignore[arg-type]  # as somebody without a type checker would


async def test_a_stream_cannot_be_reused() -> None:
    """It has one reader: a second one would get nothing."""

    async def talk(_request: str) -> Stream[str]:
        async def words() -> AsyncIterator[str]:
            yield "a"

        return Stream(words())

    with pytest.raises(TypeError, match="key="):
        await protect(talk, key=lambda request: request)("q")


async def test_an_error_of_ours_needs_no_translation() -> None:
    """A function may raise from the tree itself."""
    upstream = Upstream(ConnectionLost(), "ok")
    assert await protect(upstream, errors=())("q") == "ok"
