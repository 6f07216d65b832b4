"""When a stream says what: the whole application, in process and on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from rushhour.errors import DeadlineExceeded, RushhourError, Unavailable, WouldMissDeadline
from rushhour.flow.call import Call
from rushhour.flow.policies.pace import Queued
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Usage
from rushhour.rag.contract import Answer, Delta, Piece, Question
from rushhour.server.app import create_app
from rushhour.server.options import ServerOptions
from rushhour.telemetry.metrics import Metrics


class Slow:
    """An engine that starts after `start` seconds, pauses between its pieces, and may fail either way."""

    def __init__(
        self, start: float = 0, pause: float = 0, error: RushhourError | None = None, ends: bool = True
    ) -> None:
        self._start, self._pause, self._error, self._ends = start, pause, error, ends
        self.closed_at: float | None = None
        self.deadline = 0.0

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        call.emit(Queued("chat", 12, 3.4))
        self.deadline = call.deadline
        await asyncio.sleep(self._start)
        if self._error:
            raise self._error
        stream = Stream(self._pieces())
        stream.on_close(self._close)
        return stream

    def _close(self, _cause: BaseException | None) -> None:
        self.closed_at = asyncio.get_running_loop().time()

    async def _pieces(self) -> AsyncIterator[Piece]:
        yield Delta("Be")
        await asyncio.sleep(self._pause)
        yield Delta("cause.")
        if self._ends:
            yield Answer("Because.", (), (), "stop", "small", Usage(), {})


class Conversation:
    """One request to an application, and what came back when."""

    def __init__(self, engine: Slow, leaves_after: float | None = None) -> None:
        async def ready() -> dict[str, str]:
            return {}

        self.metrics = Metrics()
        nothing: Any = None
        self._app = create_app(engine, nothing, ServerOptions(), self.metrics, ready)
        self._leaves_after = leaves_after
        self._asked = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.got: list[tuple[float, str]] = []

    async def ask(self, stream: bool) -> Conversation:
        """Send the question and listen to the end."""
        self._body = json.dumps(
            {"model": "m", "messages": [{"role": "user", "content": "Why?"}], "stream": stream}
        ).encode()
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "headers": [],
            "query_string": b"",
        }
        await self._app(scope, self._receive, self._send)
        return self

    async def _receive(self) -> Any:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._leaves_after is None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self._leaves_after or 0)
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.got.append((asyncio.get_running_loop().time(), message["body"].decode()))

    def said(self) -> list[tuple[float, str]]:
        """Return when a comment, a piece of text or an end came, in short."""
        return [(at, _short(text)) for at, text in self.got]


def _short(text: str) -> str:
    if text.startswith(":"):
        return text.strip()
    events = text.removesuffix("\n\n").split("\n\n")
    return " ".join(filter(None, map(_event, events)))


def _event(text: str) -> str:
    data = text.removeprefix("data: ")
    if data == "[DONE]":
        return data
    chunk = json.loads(data)
    if "error" in chunk:
        return f"error {chunk['error']['code']}"
    choice = chunk["choices"][0]
    return (
        f"{choice['delta'].get('role', '')} {choice['delta'].get('content', '')}{choice['finish_reason'] or ''}".strip()
    )


async def test_quick_answers_have_no_comments() -> None:
    """Who is answered within the first second hears nothing but the answer."""
    talk = await Conversation(Slow(start=0.5)).ask(stream=True)
    assert talk.said() == [(0.5, "assistant Be"), (0.5, "cause."), (0.5, "stop [DONE]")]
    assert talk.headers[b"content-type"].startswith(b"text/event-stream")


async def test_a_long_wait_is_told() -> None:
    """First the place in the queue, then a sign of life every five seconds, then the answer."""
    talk = await Conversation(Slow(start=13)).ask(stream=True)
    assert talk.said()[:4] == [
        (1, ": queued position=12 eta_ms=3400"),
        (6, ": waiting"),
        (11, ": waiting"),
        (13, "assistant Be"),
    ]
    assert talk.said()[-1] == (13, "stop [DONE]")


async def test_silence_within_an_answer_is_filled() -> None:
    """A model that thinks between two words does not cost us the connection."""
    talk = await Conversation(Slow(pause=8)).ask(stream=True)
    assert talk.said() == [(0, "assistant Be"), (5, ": waiting"), (8, "cause."), (8, "stop [DONE]")]


async def test_an_early_refusal_is_a_status() -> None:
    """Within the first second a failure is an HTTP error, streamed or not."""
    for stream in (True, False):
        engine = Slow(start=0.9, error=WouldMissDeadline("Later.", retry_after=7))
        talk = await Conversation(engine).ask(stream)
        assert talk.status == 429
        assert talk.headers[b"retry-after"] == b"7"
        assert talk.headers[b"content-type"] == b"application/json"


async def test_a_late_failure_is_an_event_without_done() -> None:
    """After the headers a failure ends the stream, and is counted as a broken one."""
    talk = await Conversation(Slow(start=2, error=Unavailable("Gone."))).ask(stream=True)
    assert talk.status == 200
    assert talk.said() == [(1, ": queued position=12 eta_ms=3400"), (2, "error upstream_unavailable")]
    broken = {"code": "upstream_unavailable"}
    assert talk.metrics.registry.get_sample_value("rushhour_broken_streams_total", broken) == 1


async def test_an_answer_without_an_end_is_an_error() -> None:
    """A stream that stops without its last piece is never passed off as whole."""
    streamed = await Conversation(Slow(ends=False)).ask(stream=True)
    assert streamed.said()[-1] == (0, "error upstream_truncated_stream")
    whole = await Conversation(Slow(ends=False)).ask(stream=False)
    assert whole.status == 502


async def test_hang_up_closes_the_stream() -> None:
    """A client that leaves mid-answer sets the permits free that very moment, streamed or not."""
    for begun, stream in ((0, True), (2, False)):
        engine = Slow(pause=50)
        talk = await Conversation(engine, leaves_after=2).ask(stream)
        assert engine.closed_at == begun + 2
        gone = {"route": "/v1/chat/completions", "status": "499"}
        assert talk.metrics.registry.get_sample_value("rushhour_requests_total", gone) == 1
        assert talk.metrics.registry.get_sample_value("rushhour_requests_in_flight") == 0


async def test_the_deadline_is_the_servers_patience() -> None:
    """A caller who names no patience gets the server's, and an engine that ignores it is stopped."""
    engine = Slow(start=500)
    talk = await Conversation(engine).ask(stream=False)
    assert engine.deadline == 60
    assert (talk.status, asyncio.get_running_loop().time()) == (DeadlineExceeded.status, 61)
    assert talk.headers[b"x-should-retry"] == b"false"
