"""Every fault on virtual time: what the client meets, what the ledger says, and when nothing is struck."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from rushhour.simulator.exchange import Ending, Reply, Request
from rushhour.simulator.faults import FAULTS
from rushhour.simulator.ledger import Connection
from rushhour.simulator.refusals import BILLING_CODES

Make = Callable[..., Any]
CONTEXT = "Tuples are immutable sequences of objects, and they are compared item by item from left to right."
PROMPT = f"{CONTEXT}\n\nQuestion: What are immutable sequences compared by?"
QUERY = {"vector": [1.0, 0.0], "topK": 1, "namespace": "books"}
QUICK = {"median_s": 0.1, "sigma": 0.0, "slow_share": 0.0}


def _always(fault: str, **more: Any) -> dict[str, Any]:
    return {"faults": {fault: 1.0}, "latency": QUICK, **more}


def _error(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)["error"]


async def _pieces(client: Any, **more: Any) -> tuple[list[bytes], Reply]:
    """Return the pieces of a streamed answer, and the reply."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": PROMPT}], **more}
    headers = {"x-sim-client": client.name}
    request = Request("POST", "/v1/chat/completions", headers, msgspec.json.encode(body), {}, client.connection)
    reply = await client.simulator.handle(request)
    assert reply.stream is not None
    pieces = [piece async for piece in reply.stream]
    reply.close(delivered=reply.ending is Ending.KEPT, sent=sum(map(len, pieces)))
    return pieces, reply


def _tally(client: Any, surface: str = "chat") -> Any:
    return client.simulator.state()["clients"][client.name]["surfaces"][surface]


# ---- 429


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (
            "rpm_limit",
            "requests",
            "on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms",
        ),
        (
            "tpm_limit",
            "tokens",
            "on tokens per min (TPM): Limit 60000, Used 60000, Requested 600. Please try again in 600ms",
        ),
    ],
)
async def test_a_limit_that_others_used_up_is_told_in_the_provider_s_words(
    simulated: Make, fault: str, kind: str, words: str
) -> None:
    """W = (U + R − L)/(L/60) with U = L; nothing remains; the call itself is not charged."""
    client = simulated(chat=_always(fault, rpm=500, tpm=60_000))

    reply = await client.chat(max_tokens=600)

    assert reply.status == 429
    assert words in _error(reply)["message"]
    assert (_error(reply)["type"], _error(reply)["code"]) == (kind, "rate_limit_exceeded")
    assert reply.headers[f"x-ratelimit-remaining-{kind}"] == "0"
    assert float(reply.headers["retry-after-ms"]) == pytest.approx({"requests": 120, "tokens": 600}[kind], abs=1)
    assert _tally(client)["throttled"] == {kind: 1}
    assert _tally(client)["cost_usd"] == 0


async def test_too_large_has_the_code_of_a_pace_limit_and_no_way_back(simulated: Make) -> None:
    """Only its message tells it from a limit that passes; there is no retry-after."""
    reply = await simulated(chat=_always("too_large", tpm=30_000)).chat()

    assert reply.status == 429
    assert _error(reply)["code"] == "rate_limit_exceeded"
    assert _error(reply)["message"].startswith(
        "Request too large for any-model in organization org-simulated on tokens"
    )
    assert "Limit 30000, Requested 30001." in _error(reply)["message"]
    assert not {"retry-after", "retry-after-ms"} & set(reply.headers)


@pytest.mark.parametrize("code", BILLING_CODES)
async def test_money_is_a_429_of_its_own_type(simulated: Make, code: str) -> None:
    """All five codes have the type insufficient_quota and no retry-after."""
    client = simulated(chat=_always(code))

    reply = await client.chat()

    assert (reply.status, _error(reply)["type"], _error(reply)["code"]) == (429, "insufficient_quota", code)
    assert "retry-after" not in reply.headers
    assert _tally(client)["throttled"] == {"billing": 1}


async def test_slow_down_says_when_to_come_back(simulated: Make) -> None:
    """Its type and code are its own; it passes."""
    reply = await simulated(embeddings=_always("slow_down")).embed()

    assert (reply.status, _error(reply)["type"], _error(reply)["code"]) == (429, "rate_limit_error", "slow_down")
    assert 1 <= int(reply.headers["retry-after"]) <= 5


async def test_a_wrong_call_is_told_so_before_any_429(simulated: Make) -> None:
    """A fault of the quota cannot strike what never reaches the quota, and the ledger counts no fault."""
    client = simulated(chat=_always("rpm_limit"))

    reply = await client.post("/v1/chat/completions", b"{")

    assert reply.status == 400
    assert (_tally(client)["faults"], _tally(client)["rejected"]) == ({}, {"400": 1})


async def test_the_vector_store_s_limit_names_the_namespace(simulated: Make) -> None:
    """An rpcStatus with code 8, and no retry-after."""
    client = simulated(vectors=_always("namespace_limit"))

    reply = await client.post("/query", QUERY)

    body = msgspec.json.decode(reply.body)
    assert (reply.status, body["code"]) == (429, 8)
    assert "query QPS limit for namespace books" in body["message"]
    assert "retry-after" not in reply.headers
    assert _tally(client, "vectors")["throttled"] == {"query": 1}


async def test_the_vector_store_s_month_is_over(simulated: Make) -> None:
    """The same status as a limit per second, but money: trying again is counted as a retry without hope."""
    client = simulated(vectors=_always("monthly_quota"))

    reply = await client.post("/query", QUERY)
    await client.post("/query", QUERY)

    assert reply.status == 429
    assert "read unit limit for the current month" in msgspec.json.decode(reply.body)["message"]
    assert client.simulator.state()["clients"]["tester"]["retries_after_terminal"] == 1


# ---- before any header


@pytest.mark.parametrize(
    ("fault", "ending"), [("reset", Ending.RESET), ("closed", Ending.CLOSED), ("idle_close", Ending.CLOSED_IDLE)]
)
async def test_a_connection_that_ends_without_an_answer(simulated: Make, fault: str, ending: Ending) -> None:
    """Nothing comes back, nothing is charged, and the ledger counts the fault."""
    client = simulated(chat=_always(fault))
    client.connection.calls = 1

    reply = await client.chat()

    assert (reply.empty, reply.ending) == (True, ending)
    assert _tally(client)["faults"] == {fault: 1}
    assert _tally(client)["cost_usd"] == 0


async def test_only_a_used_connection_can_be_closed_while_idle(simulated: Make) -> None:
    """The first call over a connection is served; the second meets the race."""
    client = simulated(chat=_always("idle_close"))

    first, second = await client.chat(), await client.chat()
    client.connection = Connection()
    third = await client.chat()

    assert [first.status, second.ending, third.status] == [200, Ending.CLOSED_IDLE, 200]
    assert (_tally(client)["ok"], _tally(client)["faults"]) == (2, {"idle_close": 1})


async def test_a_hang_ends_only_with_the_client_s_patience(simulated: Make, clock: Callable[[], float]) -> None:
    """An hour later there is still no answer; the client's timeout frees everything."""
    client = simulated(chat=_always("hang"))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(3_600):
            await client.chat()

    assert clock() == 3_600
    assert _tally(client)["faults"] == {"hang": 1}
    assert client.simulator.state()["load"]["chat"]["in_flight"] == 0


# ---- errors of the provider and its edge


@pytest.mark.parametrize(
    ("fault", "status", "code"), [("server_error", 500, None), ("overloaded", 503, "server_is_overloaded")]
)
async def test_the_provider_s_own_errors_are_json(simulated: Make, fault: str, status: int, code: str | None) -> None:
    """In OpenAI's shape."""
    reply = await simulated(chat=_always(fault)).chat()

    assert (reply.status, _error(reply)["code"]) == (status, code)
    assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("surface", "path", "body", "shape"),
    [
        ("vectors", "/query", QUERY, {"code", "message", "details"}),
        ("rerank", "/v2/rerank", {"model": "m", "query": "q", "documents": ["d"]}, {"message"}),
    ],
)
async def test_errors_have_the_shape_of_their_api(
    simulated: Make, surface: str, path: str, body: Any, shape: set[str]
) -> None:
    """The vector store says rpcStatus, the reranker a message."""
    reply = await simulated(**{surface: _always("overloaded")}).post(path, body)

    assert reply.status == 503
    assert set(msgspec.json.decode(reply.body)) == shape


@pytest.mark.parametrize(
    ("fault", "status", "at_least_s", "at_most_s"),
    [("bad_gateway", 502, 0.05, 0.5), ("origin_error", 520, 0.05, 0.5), ("origin_timeout", 524, 100, 100)],
)
async def test_the_edge_answers_with_a_page(
    simulated: Make, clock: Callable[[], float], fault: str, status: int, at_least_s: float, at_most_s: float
) -> None:
    """HTML, no rate-limit headers; a 524 comes after the edge's hundred seconds."""
    reply = await simulated(chat=_always(fault)).chat()

    assert reply.status == status
    assert reply.headers["content-type"].startswith("text/html")
    assert not any(name.startswith("x-ratelimit") for name in reply.headers)
    assert at_least_s <= clock() <= at_most_s


# ---- in the middle of the body


@pytest.mark.parametrize(("fault", "ending"), [("truncated_body", Ending.CLOSED), ("cut", Ending.RESET)])
async def test_a_body_that_breaks_off(simulated: Make, fault: str, ending: Ending) -> None:
    """Whole or streamed, a part arrives, it is charged, and the connection ends before the end."""
    client = simulated(chat=_always(fault))

    whole = await client.chat(PROMPT)
    pieces, streamed = await _pieces(client)

    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(whole.body)
    assert whole.ending is streamed.ending is ending
    assert len(pieces) >= 2
    assert b"[DONE]" not in b"".join(pieces)
    assert _tally(client)["faults"] == {fault: 2}
    assert _tally(client)["tokens_out"] > 20


async def test_a_stream_that_ends_cleanly_too_early(simulated: Make) -> None:
    """HTTP is satisfied; no finish reason and no end mark came."""
    client = simulated(chat=_always("no_done"))

    pieces, reply = await _pieces(client)

    text = b"".join(pieces)
    assert (reply.status, reply.ending) == (200, Ending.KEPT)
    assert text.count(b"data: ") >= 3
    assert b"[DONE]" not in text
    assert b'"finish_reason":"' not in text


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_an_error_inside_a_stream(simulated: Make, path: str) -> None:
    """After 200 and some events, an error object as each API writes it; then the end."""
    client = simulated(chat=_always("sse_error"))
    key = "messages" if path.endswith("completions") else "input"

    reply = await client.post(path, {"model": "m", "stream": True, key: [{"role": "user", "content": PROMPT}]})

    last = reply.body.strip().split(b"\n\n")[-1]
    error = msgspec.json.decode(last.split(b"data: ")[1])
    assert reply.status == 200
    if key == "messages":
        assert error["error"]["type"] == "server_error"
    else:
        assert last.startswith(b"event: error\n")
        assert (error["type"], error["code"]) == ("error", "server_error")
    assert b"response.completed" not in reply.body
    assert b"[DONE]" not in reply.body


async def test_a_stream_that_stands_still(simulated: Make) -> None:
    """Some events come at their pace, then none for an hour."""
    client = simulated(chat=_always("stall"))
    came: list[float] = []
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    reply = await client.simulator.handle(Request("POST", "/v1/chat/completions", {}, msgspec.json.encode(body)))
    assert reply.stream is not None

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_note_times(reply.stream, came), 3_600)
    reply.close(delivered=False, sent=0)

    assert len(came) >= 2
    assert came[-1] < 10
    assert client.simulator.state()["load"]["chat"]["in_flight"] == 0


async def _note_times(stream: AsyncGenerator[bytes, None], came: list[float]) -> None:
    async for _ in stream:
        came.append(asyncio.get_running_loop().time())  # noqa: PERF401 - the times before the timeout must stay


@pytest.mark.parametrize("stream", [False, True])
async def test_a_drip_is_whole_after_minutes_and_never_silent_for_long(
    simulated: Make, clock: Callable[[], float], stream: bool
) -> None:
    """Each piece comes within five seconds of the last, so that no timeout between reads ends it."""
    client = simulated(chat=_always("slow_drip"))
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": PROMPT}]}
    reply = await client.simulator.handle(Request("POST", "/v1/chat/completions", {}, msgspec.json.encode(body)))
    assert reply.stream is not None
    pieces, times = [], [clock()]
    async for piece in reply.stream:
        pieces.append(piece)
        times.append(clock())
    reply.close(delivered=True, sent=0)

    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) <= 5
    assert clock() > 30
    joined = b"".join(pieces)
    assert joined.endswith(b"data: [DONE]\n\n") if stream else msgspec.json.decode(joined)["usage"]


@pytest.mark.parametrize("fault", ["no_done", "stall", "sse_error"])
async def test_a_fault_of_streams_leaves_a_whole_reply_alone(simulated: Make, fault: str) -> None:
    """It is served, and not counted as struck."""
    client = simulated(chat=_always(fault))

    reply = await client.chat(PROMPT)

    assert msgspec.json.decode(reply.body)["choices"][0]["finish_reason"] == "stop"
    assert (_tally(client)["ok"], _tally(client)["faults"]) == (1, {})


@pytest.mark.parametrize("fault", ["truncated_body", "cut", "slow_drip", "no_done"])
async def test_a_spoilt_reply_is_never_an_error_reply(simulated: Make, fault: str) -> None:
    """A 429 of the limiter passes whole."""
    client = simulated(chat=_always(fault, tpm=1))

    reply = await client.chat(PROMPT)

    assert (reply.status, reply.ending) == (429, Ending.KEPT)
    assert _error(reply)["code"] == "rate_limit_exceeded"


# ---- all of them


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_same_seed_gives_the_same_faults(simulated: Make, fault: str) -> None:
    """Half of forty calls are struck, the same ones in two runs and others with another seed."""
    surface = "vectors" if FAULTS[fault].surfaces == frozenset({"vectors"}) else "chat"
    struck = []
    for seed in (5, 5, 6):
        client = simulated(seed, **{surface: {"faults": {fault: 0.5}, "latency": QUICK}})
        outcomes = []
        for _ in range(40):
            client.connection.calls = 1
            outcomes.append(await _outcome(client, surface))
        struck.append(outcomes)

    assert struck[0] == struck[1]
    assert struck[0] != struck[2]
    assert 8 <= sum(outcome != (200, Ending.KEPT, True) for outcome in struck[0]) <= 32


async def _outcome(client: Any, surface: str) -> tuple[int, Ending, bool]:
    """Return the status, the ending, and whether a proper end came within a minute."""
    try:
        async with asyncio.timeout(60):
            if surface == "vectors":
                reply = await client.post("/query", QUERY)
                return reply.status, reply.ending, True
            body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
            reply = await client.post("/v1/chat/completions", body)
            return reply.status, reply.ending, reply.body.endswith(b"[DONE]\n\n")
    except TimeoutError:
        return 0, Ending.KEPT, False
