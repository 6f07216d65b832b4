"""An app of somebody's own: found, checked, and told what is wrong with it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from rushhour.rehearse.processes import leashed, running
from rushhour.rehearse.provider import Provider, simulated
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.target import App, TargetUnfit, meet

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
_CHUNK = {"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]}
_CALM = "chat.faults = {}\nembeddings.faults = {}\nvectors.faults = {}\n"
_WHOLE = {"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}


async def _good(request: web.Request) -> web.StreamResponse:
    if not (await request.json()).get("stream"):
        return web.json_response(_WHOLE)
    return web.Response(body=b"data: " + json.dumps(_CHUNK).encode() + b"\n\ndata: [DONE]\n\n")


async def _no_stream(_request: web.Request) -> web.StreamResponse:
    return web.json_response(_WHOLE)


async def _other_shape(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"answer": "yes"})


async def _page(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<h1>Welcome</h1>", content_type="text/html")


async def _no_key(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"code": "invalid_api_key"}}, status=401)


async def _no_model(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": {"code": "model_not_found", "message": "No such model."}}, status=404)


async def _plain_404(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="not here", status=404)


async def _flaky(request: web.Request) -> web.StreamResponse:
    request.app[_ASKED].append(1)
    return await _good(request) if len(request.app[_ASKED]) > 1 else web.Response(status=500)


_ASKED = web.AppKey("asked", list[int])


async def _serve(answer: Answer, provider_url: str = "") -> TestServer:
    async def handle(request: web.Request) -> web.StreamResponse:
        if provider_url:  # an app that does call the simulated provider
            async with ClientSession() as session, session.post(f"{provider_url}/v1/embeddings", json={}):
                pass
        return await answer(request)

    app = web.Application()
    app[_ASKED] = []
    app.router.add_post("/v1/chat/completions", handle)
    return TestServer(app)


@pytest.fixture
async def provider(tmp_path: Path) -> AsyncIterator[Provider]:
    """Run a simulator."""
    async with simulated(Scenario("x"), os.environ, tmp_path) as running_provider:
        yield running_provider


@pytest.mark.parametrize("answer", [_good, _flaky])
async def test_a_fit_app_is_met(provider: Provider, answer: Answer) -> None:
    """It answers whole and as a stream, and calls the provider; a failure that passes does not matter."""
    async with await _serve(answer, provider.url) as server:
        await meet(App(str(server.make_url("/v1")), "m"), provider, Scenario("x"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_good, r"nothing reached the simulated provider at .*OPENAI_BASE_URL="),
        (_no_stream, r"answers, but not as a stream: .*\[DONE\].*stream = false"),
        (_other_shape, r"does not answer as OpenAI's API does.*\{\"answer\": \"yes\"\}"),
        (_page, r"does not answer as OpenAI's API does.*<h1>Welcome"),
        (_no_key, r"refuses the key \(status 401\).*--api-key"),
        (_no_model, r"status 404 .*model_not_found: No such model.*Is 'm' one of its models"),
        (_plain_404, r"There is no .*/chat/completions \(status 404\).*ends in /v1"),
    ],
)
async def test_an_unfit_app_is_told_why(
    provider: Provider, answer: Answer, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was seen, and what to do about it."""
    monkeypatch.setattr("rushhour.rehearse.target._BETWEEN_S", 0.01)
    async with await _serve(answer) as server:
        with pytest.raises(TargetUnfit, match=f"(?s){words}"):
            await meet(App(str(server.make_url("/v1")), "m"), provider, Scenario("x"))


async def test_an_app_that_is_down_is_waited_for_and_named(provider: Provider) -> None:
    """The address, and for how long it was tried."""
    with pytest.raises(TargetUnfit, match=r"Nothing answers at http://127\.0\.0\.1:1/v1 .* after 0\.3 s"):
        await meet(App("http://127.0.0.1:1/v1", "m", wait_s=0.3), provider, Scenario("x"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.timeout(120)
async def test_an_app_of_ones_own_is_rehearsed(tmp_path: Path) -> None:
    """A real app, pointed at the provider's port before that is open, is played and judged; a missed objective is 3."""
    port = _free_port()
    (tmp_path / "questions.txt").write_text("What is a tuple?\nAnd what is a list?\tSomething it will never say.\n")
    (tmp_path / "short.toml").write_text('users = 6\nover = "1s"\n[friday]\nusers = 2\n[provider]\n' + _CALM)
    environment = os.environ | {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "OPENAI_API_KEY": "my-app",
        "PINECONE_HOST": f"http://127.0.0.1:{port}",
        "PINECONE_API_KEY": "my-app",
        "NAIVE_NAMESPACE": "empty",
        "NAIVE_EMBED_MODEL": "e",
        "NAIVE_CHAT_MODEL": "c",
    }
    async with running("app", leashed("rushhour.rehearse.sdk", "serve"), environment, tmp_path) as app:
        url = (await app.ready_line(60))["url"]
        app.drain()
        argv = [
            sys.executable, "-m", "rushhour.cli", "rehearse", "--scenario", "short.toml", "--target", f"{url}/v1/",
            "--model", "mine", "--provider-port", str(port), "--questions", "questions.txt", "--json", "f.json",
            "--slo", "answered>=99%",
        ]  # fmt: skip
        done = await asyncio.create_subprocess_exec(
            *argv, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await done.communicate()

    assert done.returncode == 3, said.decode()
    result = msgspec.json.decode((tmp_path / "f.json").read_bytes())
    (run,) = result["runs"]
    assert (run["pipeline"], run["answered"], run["wrong"], run["errors"]) == ("target", 3, 3, {})
    assert run["provider_calls"]["chat"] == 6
    assert (run["cpu_s"], run["verdict"]["verdict"]) == (None, "note")  # it paid for the same questions again
    assert result["slo"]["held"] is False
    assert "--target" in result["command"]
    assert "target" in (tmp_path / "rehearsal.html").read_text()
