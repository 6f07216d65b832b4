"""The crowd against a scripted server on a real socket: every way in which a visit can end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rushhour.rehearse.crowd import Visited, visit_all
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.processes import running
from rushhour.rehearse.reply import Target
from rushhour.rehearse.visits import Visit, write_visits

GOLD = "The quick pipeline answers every single question that it is asked."
_SEEN = web.AppKey("seen", list[str])
Serve = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _event(content: str = "", finish: str | None = None) -> bytes:
    delta = {"content": content} if content else {}
    return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"


async def _stream(request: web.Request, *pieces: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    return response


async def _right(request: web.Request) -> web.StreamResponse:
    half = len(GOLD) // 2
    whole = _event(GOLD[:half]) + _event(GOLD[half:]) + _event(finish="stop") + b"data: [DONE]\n\n"
    return await _stream(request, b": queued position=3 eta_ms=10\n\n", whole[:40], whole[40:])


async def _wrong(request: web.Request) -> web.StreamResponse:
    return await _stream(request, _event("I do not know."), _event(finish="stop"), b"data: [DONE]\n\n")


async def _no_done(request: web.Request) -> web.StreamResponse:
    return await _stream(request, _event(GOLD), _event(finish="stop"))


async def _no_finish(request: web.Request) -> web.StreamResponse:
    return await _stream(request, _event(GOLD), b"data: [DONE]\n\n")


async def _error_inside(request: web.Request) -> web.StreamResponse:
    return await _stream(request, _event("The"), b'data: {"error":{"code":"upstream_truncated_stream"}}\n\n')


async def _refusal(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"code": "overloaded"}}, status=429, headers={"retry-after": "2"})


async def _first_refused(request: web.Request) -> web.StreamResponse:
    seen = request.app[_SEEN]
    seen.append(request.headers["authorization"])
    if len(seen) > 1:
        return await _right(request)
    return web.json_response(
        {"error": {"code": "overloaded"}}, status=429, headers={"retry-after": "1", "retry-after-ms": "20"}
    )


async def _always_refused(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"code": "overloaded"}}, status=429, headers={"retry-after-ms": "5"})


async def _come_next_week(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"code": "overloaded"}}, status=429, headers={"retry-after": "604800"})


async def _quoted(request: web.Request) -> web.StreamResponse:
    closing = {"choices": [{"delta": {}, "finish_reason": "stop"}], "rushhour": {"degraded": ["extractive"]}}
    event = b"data: " + json.dumps(closing).encode() + b"\n\n"
    return await _stream(request, _event(GOLD), event, b"data: [DONE]\n\n")


async def _handed_on(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"code": "rate_limit_exceeded"}}, status=500)


async def _page(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<h1>Bad gateway</h1>", status=502)


async def _reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def _hang(request: web.Request) -> web.StreamResponse:
    response = await _stream(request, _event("The"))
    await asyncio.Event().wait()
    return response


@pytest.fixture
async def base_url() -> AsyncIterator[str]:
    """Serve each script under a path of its own."""
    app = web.Application()
    app[_SEEN] = []
    scripts = (
        _right, _wrong, _no_done, _no_finish, _error_inside, _refusal, _handed_on, _page, _reset, _hang,
        _first_refused, _always_refused, _come_next_week, _quoted,
    )  # fmt: skip
    for script in scripts:
        app.router.add_post(f"/{script.__name__}/chat/completions", script)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


async def _ask(
    url: str,
    *,
    users: int = 1,
    patience_s: float = 20.0,
    at_once: int | None = None,
    obeys: bool = False,
    key: str = "",
) -> list[Visited]:
    seen: list[Visited] = []
    visits = [Visit(user, 0.0, "What about it?", GOLD, "acme", key) for user in range(users)]
    await visit_all(Target(url, "m", "key", patience_s, at_once, obeys=obeys), visits, seen.append)
    return seen


@pytest.mark.parametrize(
    ("script", "outcome", "kind"),
    [
        (_right, Outcome.ANSWERED, ""),
        (_wrong, Outcome.WRONG, ""),
        (_no_done, Outcome.FAILED, "truncated_stream"),
        (_no_finish, Outcome.FAILED, "truncated_stream"),
        (_error_inside, Outcome.FAILED, "upstream_truncated_stream"),
        (_refusal, Outcome.REFUSED, ""),
        (_handed_on, Outcome.FAILED, "upstream_429"),
        (_page, Outcome.FAILED, "http_502"),
        (_reset, Outcome.FAILED, "connection_reset"),
    ],
)
async def test_each_end_of_a_visit_is_told(base_url: str, script: Serve, outcome: Outcome, kind: str) -> None:
    """A stream counts as an answer only with a finish reason, [DONE] and the right words."""
    (visit,) = await _ask(f"{base_url}/{script.__name__}")

    assert (visit.outcome, visit.kind) == (outcome, kind)


async def test_who_obeys_a_refusal_is_served_later(base_url: str) -> None:
    """The second visit counts, from the first arrival on; that there was a first is told."""
    (visit,) = await _ask(f"{base_url}/_first_refused", obeys=True)

    assert (visit.outcome, visit.returned, visit.advised_s) == (Outcome.ANSWERED, True, 0.02)
    assert visit.refused_s is not None
    assert visit.done_s >= visit.refused_s + 0.02
    assert visit.first_s is not None
    assert visit.first_s > visit.refused_s
    assert visit.tenant == "acme"


async def test_who_is_refused_again_has_come_in_vain(base_url: str) -> None:
    """Nobody comes a third time."""
    (visit,) = await _ask(f"{base_url}/_always_refused", obeys=True)

    assert (visit.outcome, visit.returned) == (Outcome.REFUSED, True)


@pytest.mark.parametrize(("script", "obeys"), [(_first_refused, False), (_come_next_week, True)])
async def test_not_everybody_comes_again(base_url: str, script: Serve, obeys: bool) -> None:
    """Not who does not obey, and not who would have to wait for a week."""
    (visit,) = await _ask(f"{base_url}/{script.__name__}", obeys=obeys)

    assert (visit.outcome, visit.returned) == (Outcome.REFUSED, False)
    assert visit.refused_s is not None


async def test_a_tenant_sends_its_own_key() -> None:
    """And who has none sends that of all."""
    seen: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["authorization"])
        return await _right(request)

    app = web.Application()
    app.router.add_post("/chat/completions", note)
    async with TestServer(app) as server:
        await _ask(str(server.make_url("/")).rstrip("/"), key="sesame")
        await _ask(str(server.make_url("/")).rstrip("/"))

    assert seen == ["Bearer sesame", "Bearer key"]


async def test_an_answer_tells_what_it_lacks(base_url: str) -> None:
    """A degraded answer is right all the same, and is counted as degraded."""
    (visit,) = await _ask(f"{base_url}/_quoted")

    assert (visit.outcome, visit.degraded) == (Outcome.ANSWERED, ("extractive",))


async def test_a_crowd_ends_with_whoever_started_it(base_url: str, tmp_path: Path) -> None:
    """A crowd in the middle of its visits does not outlive the pipe on its input."""
    write_visits(tmp_path / "plan.json", [Visit(0, 0.0, "?", GOLD), Visit(1, 3_600.0, "?", GOLD)])
    argv = [
        sys.executable, "-m", "rushhour.rehearse.crowd", "--base-url", f"{base_url}/_right", "--model", "m",
        "--plan", str(tmp_path / "plan.json"),
    ]  # fmt: skip
    async with running("crowd", argv, os.environ, tmp_path) as crowd:
        await crowd.ready_line(30)
        crowd.go()
        assert b"answered" in await crowd.line()
        crowd.let_go()
        assert await crowd.line() == b""


async def test_the_first_word_is_timed_and_comments_are_not_words(base_url: str) -> None:
    """The wait for the first word ends with the first content, before the answer is done."""
    (visit,) = await _ask(f"{base_url}/_right")

    assert visit.first_s is not None
    assert 0 <= visit.first_s <= visit.done_s


async def test_a_user_gives_up_in_the_middle_of_a_stream(base_url: str) -> None:
    """A hung stream ends with the user's patience."""
    (visit,) = await _ask(f"{base_url}/_hang", patience_s=0.2)

    assert (visit.outcome, visit.kind) == (Outcome.FAILED, "gave_up")


async def test_nobody_listening_is_told_apart() -> None:
    """A refused connection is not a reset one."""
    (visit,) = await _ask("http://127.0.0.1:1")

    assert visit.kind == "connection_refused"


@pytest.mark.parametrize("at_once", [None, 3])
async def test_everybody_is_reported_once(base_url: str, at_once: int | None) -> None:
    """Open loop or a few at a time, each user ends exactly once."""
    seen = await _ask(f"{base_url}/_right", users=40, at_once=at_once)

    assert sorted(visit.user for visit in seen) == list(range(40))
    assert {visit.outcome for visit in seen} == {Outcome.ANSWERED}


async def test_the_crowd_does_not_wait_for_answers() -> None:
    """Open loop: all are at the server at the same time although nobody has been answered."""
    arrived, everybody = 0, asyncio.Event()

    async def only_together(request: web.Request) -> web.StreamResponse:
        nonlocal arrived
        arrived += 1
        if arrived == 25:
            everybody.set()
        await everybody.wait()
        return await _right(request)

    app = web.Application()
    app.router.add_post("/chat/completions", only_together)
    async with TestServer(app) as server:
        seen = await _ask(str(server.make_url("/")).rstrip("/"), users=25)

    assert {visit.outcome for visit in seen} == {Outcome.ANSWERED}
