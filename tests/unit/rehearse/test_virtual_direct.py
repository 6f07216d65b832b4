"""Direct calls to the simulated chat model: what they are told is what a written reply would have told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.flow.allowance import LimitHeaders
from rushhour.hops.contract import ChatRequest, Message
from rushhour.hops.limit_headers import limit_headers
from rushhour.rehearse.virtual.direct_surface import DirectQuota, DirectReply, DirectRequest
from rushhour.rehearse.virtual.simulator import DirectSimulator
from rushhour.simulator import load_profile
from rushhour.simulator.draws import Draw
from rushhour.simulator.exchange import Visit
from rushhour.simulator.ledger import Entry
from rushhour.simulator.quota import Customer
from rushhour.testing import run_virtual

_PROMPT = ChatRequest((Message("user", "Question: which door is open?"),), max_tokens=16)


def _request() -> DirectRequest:
    headers = {"authorization": "Bearer me"}
    return DirectRequest("POST", "/v1/chat/completions", headers, b"?", model="gpt", prompt=_PROMPT)


def _digits(limits: LimitHeaders | None) -> list[float | None]:
    assert limits is not None
    told = [one for one in (limits.requests, limits.tokens) if one is not None]
    return [number for one in told for number in (one.limit, one.remaining, one.reset_s)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3_000), st.floats(0, 0.3)), min_size=1, max_size=8))
def test_limits_in_numbers_are_those_of_the_headers(calls: list[tuple[int, float]]) -> None:
    """The adapter would read the same from the text of the headers, whatever the buckets hold."""

    async def main() -> None:
        profile = load_profile("monday", ("chat.rpm=600", "chat.tpm=60000"))
        quota = DirectQuota(profile.chat, profile.organization, profile.keys)
        customer = Customer("org")
        for tokens, pause in calls:
            request = _request()
            visit = Visit(request, Entry("me", "chat", "completions", 0.0, 1), Draw(1))
            quota.admit(visit, customer, "gpt", tokens)
            written = limit_headers(quota.written(visit, customer, "gpt"))
            assert _digits(request.limits) == pytest.approx(_digits(written), rel=1e-12)
            await asyncio.sleep(pause)

    run_virtual(main())


async def test_a_direct_call_is_answered_without_a_body() -> None:
    """The answer comes as words, its first chunk apart, and the call is in the ledger like any other."""
    simulator = DirectSimulator(load_profile("monday", ("chat.faults={}",)), seed=1)
    simulator.open()
    request = _request()

    reply = await simulator.handle(request)

    assert isinstance(reply, DirectReply)
    assert reply.words is not None
    assert reply.said is not None
    assert reply.words.first + reply.words.rest == reply.said.text
    assert reply.words.size == len(reply.said.text)
    reply.close(delivered=True, sent=reply.words.size)
    assert simulator.ledger()["clients"]["me"]["total"]["ok"] == 1


async def test_a_refused_direct_call_is_answered_in_writing() -> None:
    """The real adapter reads the 429 with all its headers."""
    simulator = DirectSimulator(load_profile("monday", ("chat.rpm=60", "chat.faults={}")), seed=1)
    simulator.open()
    first = await simulator.handle(_request())
    first.close(delivered=True, sent=0)

    refused = await simulator.handle(_request())

    assert refused.status == 429
    assert "retry-after-ms" in refused.headers
    assert limit_headers(refused.headers) is not None
