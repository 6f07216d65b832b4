"""Rules 7 and 8: a permit comes back on every way out, and streams end in only one of two ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from rushhour.errors import DeadlineExceeded, Rejected, RushhourError, TruncatedStream, UpstreamError
from rushhour.flow.call import Call
from rushhour.flow.ledger.memory import Limits
from rushhour.flow.policies.retry import Retried
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatRequest, Message
from rushhour.hops.openai_chat import OpenAIChat
from rushhour.hops.transport import Peer
from rushhour.testing import Scripted

Make = Callable[..., Any]
ONE_A_SECOND = Limits(requests_per_minute=60, burst_s=1, use=1.0)


async def succeed(chat: Any) -> None:
    """Get a reply."""
    await chat.ask("reply")


async def fail(chat: Any) -> None:
    """Get an error."""
    with pytest.raises(Rejected):
        await chat.ask("error")


async def run_out_of_time(chat: Any) -> None:
    """Meet the deadline while the provider works."""
    with pytest.raises(DeadlineExceeded):
        await chat.ask("slow", patience=1.0)


async def leave_while_it_works(chat: Any) -> None:
    """Hang up while the provider works."""
    asked = asyncio.ensure_future(chat.ask("slow"))
    await asyncio.sleep(0.5)
    asked.cancel()
    await asyncio.wait([asked])


async def leave_the_queue(chat: Any) -> None:
    """Hang up while another call holds the only permit."""
    held = asyncio.ensure_future(chat.ask("slow"))
    asked = asyncio.ensure_future(chat.ask("reply"))
    await asyncio.sleep(0.5)
    asked.cancel()
    await asyncio.wait([held, asked])


async def read_to_the_end(chat: Any) -> None:
    """Read a whole stream."""
    async with await chat.ask("stream") as stream:
        assert len([delta async for delta in stream]) == 4


async def leave_a_stream(chat: Any) -> None:
    """Read the beginning of a stream and hang up."""
    async with await chat.ask("stream") as stream:
        await anext(stream)


async def close_a_stream_unread(chat: Any) -> None:
    """Never begin to read: a generator that was never started runs no cleanup of its own."""
    await (await chat.ask("stream")).aclose()


async def read_a_stream_that_breaks(chat: Any) -> None:
    """Read until the stream fails."""
    with pytest.raises(TruncatedStream):
        async with await chat.ask("broken stream") as stream:
            _ = [delta async for delta in stream]


WAYS_OUT = (
    succeed,
    fail,
    run_out_of_time,
    leave_while_it_works,
    leave_the_queue,
    read_to_the_end,
    leave_a_stream,
    close_a_stream_unread,
    read_a_stream_that_breaks,
)


@pytest.mark.parametrize("way_out", WAYS_OUT)
async def test_rule_07_a_permit_is_released_on_every_way_out(
    guarded: Make, written: Make, way_out: Callable[[Any], Awaitable[None]]
) -> None:
    """Where only one call may be in flight, three leave by the same way, and the next is still served at once."""
    replies = {
        "stream": written("a", "b", "c"),
        "broken stream": written("a", failure=TruncatedStream()),
    }

    async def provider(request: str, _call: Call) -> Any:
        if request == "error":
            raise Rejected("no")
        if request == "slow":
            await asyncio.sleep(5.0)
        return replies[request](request) if request in replies else request

    chat = guarded(provider, in_flight=1)

    for _ in range(3):
        await way_out(chat)

    async with asyncio.timeout(0.001):
        assert await chat.ask("reply") == "reply"


async def test_rule_07_who_leaves_the_queue_takes_no_quota_along(guarded: Make) -> None:
    """Thirty callers give up while they wait; whoever comes then waits for none of them."""
    hop = Scripted("ok", forever=True)
    chat = guarded(hop, ONE_A_SECOND)
    rush = [asyncio.ensure_future(chat.ask()) for _ in range(30)]
    await asyncio.sleep(0.5)
    for one in rush[1:]:
        one.cancel()
    await asyncio.wait(rush)

    await chat.ask()

    assert hop.asked_at == [0, 1]


async def test_rule_07_who_leaves_at_the_moment_of_its_turn_gives_it_to_the_next(guarded: Make) -> None:
    """Admitted and cancelled in one tick: neither the quota nor the permit that was reserved is lost."""
    hop = Scripted("ok", forever=True)
    chat = guarded(hop, ONE_A_SECOND, in_flight=1)
    first, leaving, waiting = (asyncio.ensure_future(chat.ask()) for _ in range(3))
    await first
    asyncio.get_running_loop().call_at(1.0 + 5e-10, leaving.cancel)  # in the tick of its turn, right after it

    assert await waiting == "ok"

    assert leaving.cancelled()
    assert hop.asked_at == [0, 1]


async def test_rule_07_a_stream_holds_its_permit_until_it_is_closed(guarded: Make, written: Make) -> None:
    """The first token is not the end: the next call goes out only when the stream has been read."""
    hop = Scripted(written("a", "b", pause=2.0), "ok")
    chat = guarded(hop, in_flight=1)
    stream = await chat.ask()
    waiting = asyncio.ensure_future(chat.ask())

    async with stream:
        _ = [delta async for delta in stream]

    assert await waiting == "ok"
    assert hop.asked_at == [0, 4]


class Wire:
    """A provider's connection that sends these bytes and ends."""

    peer = Peer("api.test")

    def __init__(self, *sent: bytes, pause: float = 0.0) -> None:
        self.status = 200
        self.headers = {"content-type": "text/event-stream"}
        self.closed = False
        self._sent = list(sent)
        self._pause = pause

    async def stream(self, *_asked: Any) -> Wire:
        """Open the reply."""
        return self

    async def gather(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def read(self) -> bytes:
        """Return the next bytes, nothing at the end."""
        await asyncio.sleep(self._pause)
        return self._sent.pop(0) if self._sent else b""

    async def aclose(self) -> None:
        """Let go."""
        self.closed = True


def event(text: str | None, finish: str | None = None) -> bytes:
    """Write a chunk as OpenAI does."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({"id": "c", "choices": [choice]}) + b"\n\n"


ASK = ChatRequest((Message("user", "Why?"),), 50)


async def test_rule_08_a_failure_before_the_first_token_is_tried_again(guarded: Make, written: Make) -> None:
    """The reader sees one whole answer and nothing of the attempt before it."""
    hop = Scripted(TruncatedStream(), written("so"))
    chat = guarded(hop)

    async with await chat.ask() as stream:
        assert [delta.text async for delta in stream] == ["so", ""]

    assert len(chat.told(Retried)) == 1


async def test_rule_08_a_failure_after_the_first_token_is_told(guarded: Make, written: Make) -> None:
    """What was read cannot be taken back: no second attempt, and the reader gets the error."""
    hop = Scripted(written("so", failure=TruncatedStream()), written("never"))
    stream = await guarded(hop).ask()

    assert (await anext(stream)).text == "so"
    with pytest.raises(TruncatedStream):
        await anext(stream)

    assert len(hop.asked_at) == 1


@pytest.mark.parametrize(
    ("sent", "whole"),
    [
        ([event("so"), event("me")], False),
        ([event("so"), event("me"), event(None, "stop")], True),
        ([event("so"), event("me"), b"data: [DONE]\n\n"], True),
        ([event("so"), event("me")[:-9]], False),
    ],
    ids=["cut", "finish reason", "done", "cut within a token"],
)
async def test_rule_08_a_stream_that_just_ends_is_an_error(guarded: Make, sent: list[bytes], whole: bool) -> None:
    """Only a finish reason or [DONE] makes a success of it."""
    chat = guarded(OpenAIChat(Wire(*sent), "m", gather_s=0))  # type: ignore[arg-type]  # as much of a transport as a chat asks for

    failed: RushhourError | None = None
    try:
        async with await chat.ask(ASK) as stream:
            _ = [delta async for delta in stream]
    except UpstreamError as cause:
        failed = cause

    assert (failed is None) == whole


async def test_rule_08_a_slow_drip_is_cut_by_the_deadline(guarded: Make) -> None:
    """Each read comes soon enough, and the whole never ends: the deadline ends it, upstream and permit included."""
    wire = Wire(*[event("drip ")] * 1_000, pause=1.0)
    chat = guarded(OpenAIChat(wire, "m", gather_s=0), in_flight=1)  # type: ignore[arg-type]  # as above
    stream: Stream[Any] = await chat.ask(ASK, patience=20.0)

    with pytest.raises(DeadlineExceeded):
        _ = [delta async for delta in stream]

    assert asyncio.get_running_loop().time() == 20.0
    assert wire.closed
    async with asyncio.timeout(2.0), await chat.ask(ASK):
        pass
