"""Every foreign error a call can meet becomes one of ours."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import http_exceptions
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from rushhour.errors import AttemptTimeout, ConnectionLost, MalformedReply, Rejected, UpstreamError
from rushhour.hops.transport import Peer
from rushhour.hops.transport_errors import FOREIGN_ERRORS, transport_error

PEER = Peer("api.test:443", "RUSHHOUR_EMBED")
KEY = ConnectionKey("api.test", 443, True, True, None, None, None)
REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
REQUEST = SimpleNamespace(real_url=URL("http://api.test"))

RECIPES: dict[str, tuple[Any, ...]] = {
    "ClientConnectorError": (KEY, REFUSED),
    "ClientConnectorDNSError": (KEY, socket.gaierror(-2, "unknown")),
    "ClientConnectorSSLError": (KEY, ssl.SSLError("handshake")),
    "ClientSSLError": (KEY, ssl.SSLError("handshake")),
    "ClientConnectorCertificateError": (KEY, ssl.SSLCertVerificationError("self-signed")),
    "ClientProxyConnectionError": (KEY, REFUSED),
    "UnixClientConnectorError": ("/run/x", KEY, REFUSED),
    "ServerFingerprintMismatch": (b"a", b"b", "api.test", 443),
    **dict.fromkeys(
        (
            "ClientResponseError",
            "ClientHttpProxyError",
            "ContentTypeError",
            "TooManyRedirects",
            "WSServerHandshakeError",
        ),
        (REQUEST, ()),
    ),
}
"""What the constructors of some of them want; the others take a message."""

NOT_RAISED_BY_CALLS = {"WSMessageTypeError"}
"""A TypeError of the websocket client, which no adapter uses."""


def every_error_of(module: Any) -> list[type[BaseException]]:
    """List the exceptions a module defines."""
    kinds = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseException)]
    return [kind for kind in kinds if kind.__module__ == module.__name__ and kind.__name__ not in NOT_RAISED_BY_CALLS]


def every_client_error() -> list[type[BaseException]]:
    """List everything that is a ClientError, wherever it is defined."""
    found = [aiohttp.ClientError]
    for kind in found:
        found += [one for one in kind.__subclasses__() if one not in found and one.__module__.startswith("aiohttp")]
    return list(found)


FOREIGN = {*every_error_of(aiohttp.client_exceptions), *every_error_of(http_exceptions), *every_client_error()}


def made(kind: type[BaseException]) -> BaseException:
    """Make one of a kind."""
    if kind is http_exceptions.HttpProcessingError:
        return http_exceptions.HttpProcessingError(code=400, message="it")
    return kind(*RECIPES.get(kind.__name__, ("it",)))


def test_there_are_errors_to_map() -> None:
    """The list below is not empty by accident."""
    assert len(FOREIGN) > 35


@pytest.mark.parametrize("kind", sorted(FOREIGN, key=str), ids=str)
def test_every_error_of_the_http_client_is_mapped(kind: type[BaseException]) -> None:
    """It is caught by the transport, becomes one of ours, and the message names host and something to do."""
    assert issubclass(kind, FOREIGN_ERRORS)
    error = transport_error(made(kind), PEER, 3.0)
    assert isinstance(error, UpstreamError)
    assert len(str(error)) > 40


@pytest.mark.parametrize(
    ("cause", "kind", "said"),
    [
        (TimeoutError(), AttemptTimeout, "within 3 s"),
        (TimeoutError(), AttemptTimeout, "RUSHHOUR_EMBED__TIMEOUT_S"),
        (aiohttp.SocketTimeoutError("read"), AttemptTimeout, "api.test:443"),
        (made(aiohttp.ClientConnectorError), ConnectionLost, "Is the server running"),
        (made(aiohttp.ClientConnectorDNSError), ConnectionLost, "cannot be resolved"),
        (made(aiohttp.ClientConnectorCertificateError), Rejected, "certificate"),
        (made(aiohttp.ClientConnectorSSLError), ConnectionLost, "https where the server speaks http"),
        (aiohttp.ServerDisconnectedError(), ConnectionLost, "closed the connection"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), ConnectionLost, "reset"),
        (aiohttp.ClientPayloadError("short"), ConnectionLost, "cut its reply off"),
        (ConnectionResetError(), ConnectionLost, "closed the connection"),
        (BrokenPipeError(), ConnectionLost, "closed the connection"),
        (REFUSED, ConnectionLost, "RUSHHOUR_EMBED__BASE_URL"),
        (aiohttp.InvalidURL("x:y"), Rejected, "RUSHHOUR_EMBED__BASE_URL"),
        (made(aiohttp.ClientResponseError), MalformedReply, "not HTTP"),
        (http_exceptions.BadStatusLine("SSH-2.0"), MalformedReply, "Check the port"),
    ],
)
def test_the_kind_and_the_remedy_fit(cause: BaseException, kind: type[UpstreamError], said: str) -> None:
    """Timeouts, refusals, resets and nonsense are different things to a breaker and to a reader."""
    error = transport_error(cause, PEER, 3.0)
    assert type(error) is kind
    assert said in str(error)


def test_cancellation_is_not_an_error() -> None:
    """It must pass through untouched, whatever else is caught."""
    assert not issubclass(asyncio.CancelledError, FOREIGN_ERRORS)
