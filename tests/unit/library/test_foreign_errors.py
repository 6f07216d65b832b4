"""What other people's clients raise, as errors of our tree."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx2
import openai
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from rushhour import (
    AttemptTimeout,
    ConnectionLost,
    MalformedReply,
    QuotaExhausted,
    Rejected,
    RushhourError,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    aiohttp_errors,
    httpx_errors,
    known_errors,
    network_errors,
    openai_errors,
    reply_error,
)
from rushhour.library.foreign_errors import translation

REQUEST: Any = SimpleNamespace(url=SimpleNamespace(host="api.test"))


def refused(
    kind: type[openai.APIStatusError], status: int, error: dict[str, Any], read: bool = True, **headers: str
) -> Exception:
    """Make what the SDK raises for a refusal."""
    response: Any = SimpleNamespace(
        status_code=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        request=REQUEST,
        content=json.dumps({"error": error}).encode() if read else None,
    )
    return kind("refused", response=response, body=error)


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize(
    ("kind", "status", "error", "ours"),
    [
        (openai.RateLimitError, 429, {"message": "slower", "code": "rate_limit_exceeded"}, Throttled),
        (openai.RateLimitError, 429, {"message": "no money", "code": "insufficient_quota"}, QuotaExhausted),
        (openai.RateLimitError, 429, {"message": "Request too large: Limit 10, Requested 20."}, TooLarge),
        (openai.BadRequestError, 400, {"message": "wrong"}, Rejected),
        (openai.AuthenticationError, 401, {"message": "key"}, Unauthorized),
        (openai.InternalServerError, 503, {"message": "busy"}, Unavailable),
    ],
)
def test_a_refusal_is_read_by_its_body(
    kind: type[openai.APIStatusError], status: int, error: dict[str, Any], ours: type[RushhourError], read: bool
) -> None:
    """All kinds of 429 are told apart, from the raw body or from the one the SDK parsed."""
    found = openai_errors(refused(kind, status, error, read))
    assert type(found) is ours
    assert "api.test" in str(found)


def test_the_advised_wait_is_found() -> None:
    """In the headers that the SDK kept."""
    found = openai_errors(refused(openai.RateLimitError, 429, {"message": "?"}, retry_after_ms="1500"))
    assert found is not None
    assert found.retry_after == 1.5


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (openai.APITimeoutError(request=REQUEST), AttemptTimeout),
        (openai.APIConnectionError(request=REQUEST), ConnectionLost),
        (openai.APIError("late", REQUEST, body={"message": "overloaded", "type": "server_error"}), Unavailable),
        (openai.APIError("late", REQUEST, body={"message": "?", "code": "rate_limit_exceeded"}), Throttled),
    ],
)
def test_the_sdks_other_errors(error: Exception, ours: type[RushhourError]) -> None:
    """Timeouts, lost connections, and errors inside a stream."""
    assert type(openai_errors(error)) is ours


def client_error(kind: type[aiohttp.ClientResponseError], status: int, **headers: str) -> Exception:
    """Make what `raise_for_status` raises."""
    named = CIMultiDictProxy(CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}))
    info = aiohttp.RequestInfo(URL("http://api.test/v1"), "POST", named, URL("http://api.test/v1"))
    return kind(info, (), status=status, message="said", headers=named)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (client_error(aiohttp.ClientResponseError, 429, Retry_After="3"), Throttled),
        (client_error(aiohttp.ClientResponseError, 502), Unavailable),
        (client_error(aiohttp.ClientResponseError, 404), Rejected),
        (client_error(aiohttp.ContentTypeError, 200), MalformedReply),
        (aiohttp.ServerDisconnectedError(), ConnectionLost),
        (aiohttp.ClientPayloadError("cut"), ConnectionLost),
        (aiohttp.ServerTimeoutError(), AttemptTimeout),
        (aiohttp.ClientOSError(104, "reset"), ConnectionLost),
        (aiohttp.InvalidURL("x"), Rejected),
        (TimeoutError(), AttemptTimeout),
    ],
)
def test_what_aiohttp_raises(error: Exception, ours: type[RushhourError]) -> None:
    """Statuses, cut bodies, lost connections, timeouts."""
    found = aiohttp_errors(error)
    assert type(found) is ours
    assert type(known_errors(error)) is ours
    assert found is not None
    assert found.retry_after == (3 if ours is Throttled else None)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (httpx2.ReadTimeout("late"), AttemptTimeout),
        (httpx2.PoolTimeout("full"), AttemptTimeout),
        (httpx2.ConnectError("refused"), ConnectionLost),
        (httpx2.RemoteProtocolError("cut"), ConnectionLost),
    ],
)
def test_what_httpx_raises(error: Exception, ours: type[RushhourError]) -> None:
    """The SDK lets some of them through while a stream is read."""
    assert type(httpx_errors(error)) is ours
    assert type(openai_errors(error)) is ours


def test_a_status_that_httpx_raised_for() -> None:
    """With its body, if that was read; unread, the status has to do."""
    request = httpx2.Request("POST", "http://api.test/v1")
    body = json.dumps({"error": {"message": "no", "code": "insufficient_quota"}}).encode()
    whole = httpx2.HTTPStatusError("no", request=request, response=httpx2.Response(429, content=body, request=request))
    assert type(httpx_errors(whole)) is QuotaExhausted
    unread = httpx2.Response(429, headers={"Retry-After": "4"}, stream=httpx2.ByteStream(body), request=request)
    found = httpx_errors(httpx2.HTTPStatusError("no", request=request, response=unread))
    assert type(found) is Throttled
    assert found.retry_after == 4


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (TimeoutError(), AttemptTimeout),
        (ConnectionResetError(), ConnectionLost),
        (BrokenPipeError(), ConnectionLost),
        (socket.gaierror(-2, "unknown"), ConnectionLost),
    ],
)
def test_what_python_raises(error: Exception, ours: type[RushhourError]) -> None:
    """The network's errors, and no others."""
    assert type(network_errors(error)) is ours


@pytest.mark.parametrize("error", [KeyError("x"), FileNotFoundError(), ValueError("y"), openai.OpenAIError("z")])
def test_what_is_not_known_is_left_alone(error: Exception) -> None:
    """A missing file is no lost connection."""
    assert known_errors(error) is None


def test_a_reply_can_be_translated_by_hand() -> None:
    """For clients that do not raise; header names may be written in any way."""
    found = reply_error(429, {"Retry-After": "2"}, b"{}", host="api.test")
    assert type(found) is Throttled
    assert found.retry_after == 2


def test_the_first_translation_that_knows_wins() -> None:
    """Functions and mappings together, the nearest class of an exception before its bases."""
    translate = translation([{KeyError: Rejected}, {LookupError: Unavailable, IndexError: TooLarge}, network_errors])
    assert type(translate(KeyError("x"))) is Rejected
    assert type(translate(IndexError("x"))) is TooLarge
    assert type(translate(TimeoutError())) is AttemptTimeout
    assert translate(ValueError("x")) is None
