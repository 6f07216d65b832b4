"""An app of somebody's own that is rehearsed: found, checked to speak OpenAI's language, and to use our provider."""

from __future__ import annotations

import asyncio
import math
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from rushhour.errors import InvalidRequest, RushhourError
from rushhour.rehearse.judge import Outcome, error_kind
from rushhour.rehearse.pipelines import Serving
from rushhour.rehearse.provider import Provider
from rushhour.rehearse.reply import ErrorInStream, Reply, Target, Truncated
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.visits import Visit

NAME = "target"
_ATTEMPTS = 5
_POLL_S = 0.2
_BETWEEN_S = 1.0
_SHOWN = 200


class TargetUnfit(RushhourError):
    """The app that was to be rehearsed is down, is not OpenAI-shaped, or does not use the simulated provider."""

    code = "target_unfit"


@dataclass(frozen=True, slots=True)
class App:
    """Where the app is (a base URL, usually ending in /v1), the model to ask for, the key, and how long to wait for it.

    `judged`: its answers are compared with the sentences that came with the questions.
    """

    base_url: str
    model: str
    api_key: str = "crowd"
    wait_s: float = 30.0
    judged: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise InvalidRequest(
                f"--target is {self.base_url!r}; give a base URL like http://127.0.0.1:9000/v1.", param="--target"
            )

    def serving(self, scenario: Scenario) -> Serving:
        """Return it as a pipeline that is ready."""
        keys = {tenant.name: tenant.key for tenant in scenario.tenants}
        return Serving(NAME, self.base_url, self.model, None, self.api_key, self.judged, keys)


async def meet(app: App, provider: Provider, scenario: Scenario) -> None:
    """Wait until the app is up, ask it one question as the crowd will, and see that it called the provider.

    Raises TargetUnfit, with what was seen and the remedy.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=scenario.patience_s)) as session:
        await _wait_until_up(session, app)
        await _check_shape(session, app)
        if scenario.stream:
            await _check_stream(session, app)
    state = await provider.state()
    if not any(surface["calls"] for client in state["clients"].values() for surface in client["surfaces"].values()):
        raise TargetUnfit(
            f"The app at {app.base_url} answered, but nothing reached the simulated provider at {provider.url}: it "
            f"uses another one. {how_to_point(provider.url)}"
        )


def check_port(port: int) -> None:
    """Raise InvalidRequest if the provider cannot listen where the app was told to find it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as cause:
            raise InvalidRequest(
                f"--provider-port is {port}, which cannot be listened on ({cause.strerror}). Choose another, and point "
                "the app at it.",
                param="--provider-port",
            ) from None


def how_to_point(url: str) -> str:
    """Say how an app is pointed at the simulated provider."""
    return f"Start the app with OPENAI_BASE_URL={url}/v1 OPENAI_API_KEY=any (and {url} as its Pinecone host)."


async def _wait_until_up(session: aiohttp.ClientSession, app: App) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + app.wait_s
    while True:
        try:
            async with session.get(f"{app.base_url}/models", headers=_headers(app)):
                return
        except (aiohttp.ClientError, TimeoutError) as cause:
            if loop.time() >= until:
                raise TargetUnfit(
                    f"Nothing answers at {app.base_url} ({cause!s}) after {app.wait_s:g} s. Start the app, or correct "
                    "--target."
                ) from None
        await asyncio.sleep(_POLL_S)


async def _check_shape(session: aiohttp.ClientSession, app: App) -> None:
    """Ask for a whole answer; what may pass (429, 5xx: the provider fails on purpose) is tried again."""
    status, body, text = 0, _NOTHING, ""
    for attempt in range(_ATTEMPTS):
        await asyncio.sleep(_BETWEEN_S if attempt else 0.0)
        try:
            status, body, text = await _ask(session, app)
        except (aiohttp.ClientError, TimeoutError) as cause:
            status, body, text = 0, _NOTHING, repr(cause)
            continue
        if status != 429 and 0 < status < 500:
            break
    if status != 200:
        raise TargetUnfit(_why_not(app, status, body, text))
    try:
        content = body["choices"][0]["message"]["content"]
    except (TypeError, KeyError, IndexError):
        content = None
    if not isinstance(content, str):
        raise TargetUnfit(
            f"{app.base_url}/chat/completions does not answer as OpenAI's API does: choices[0].message.content is "
            f"missing. It said: {text[:_SHOWN]}"
        )


async def _ask(session: aiohttp.ClientSession, app: App) -> tuple[int, Any, str]:
    body = {"model": app.model, "messages": [{"role": "user", "content": _QUESTION}]}
    async with session.post(f"{app.base_url}/chat/completions", json=body, headers=_headers(app)) as response:
        text = await response.text(errors="replace")
        try:
            return response.status, await response.json(content_type=None), text
        except ValueError:
            return response.status, None, text


async def _check_stream(session: aiohttp.ClientSession, app: App) -> None:
    target = Target(app.base_url, app.model, app.api_key, math.inf)
    outcome, problem = Outcome.FAILED, ""
    for attempt in range(_ATTEMPTS):
        await asyncio.sleep(_BETWEEN_S if attempt else 0.0)
        try:
            outcome, problem = await Reply(Visit(0, 0.0, _QUESTION, "")).receive(session, target)
        except Truncated:
            problem = "the stream ended without a finish_reason and [DONE]"
        except ErrorInStream as cause:
            problem = f"the stream reported an error: {cause}"
        except (aiohttp.ClientError, TimeoutError) as cause:
            problem = repr(cause)
        if outcome is Outcome.ANSWERED:
            return
    raise TargetUnfit(
        f"{app.base_url} answers, but not as a stream: {problem or outcome}. Let it stream as OpenAI's API does, or "
        "set stream = false in a scenario of your own."
    )


def _why_not(app: App, status: int, body: Any, text: str) -> str:
    place = f"{app.base_url}/chat/completions"
    if status in (401, 403):
        return f"{place} refuses the key (status {status}); give the right one with --api-key."
    kind = error_kind(body)
    if status == 404 and not kind:
        return f"There is no {place} (status 404); the base URL of most apps ends in /v1."
    said = f"{kind}: {body['error'].get('message', '')}" if kind else text[:_SHOWN]
    told = f"answered status {status}" if status else "could not be asked"
    hint = f" Is {app.model!r} one of its models?" if status in (400, 404) else ""
    return f"{place} {told} to a plain question: {said}.{hint}"


def _headers(app: App) -> dict[str, str]:
    return {"authorization": f"Bearer {app.api_key}"}


_QUESTION = "What does the with statement do?"
_NOTHING: Any = None
