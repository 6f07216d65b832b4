"""What other people's clients raise, as errors of our tree: only those are retried, counted and waited for.

A translation is a function of one exception that returns ours, or None where it knows nothing of it. Foreign packages
are told by the names of their classes and never imported, so none of them is needed.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from rushhour.errors import AttemptTimeout, ConnectionLost, MalformedReply, RushhourError, UpstreamError
from rushhour.hops.http_errors import event_error, provider_error
from rushhour.hops.transport import Peer, Reply

Translate: TypeAlias = Callable[[Exception], RushhourError | None]
Errors: TypeAlias = Translate | Mapping[Any, Callable[[Any], RushhourError]]
"""A translation, or what it is for each class of exception: one of our classes, or a function of the exception."""


def reply_error(status: int, headers: Mapping[str, str], body: bytes, host: str = "The provider") -> UpstreamError:
    """Return the error that an HTTP reply of a status other than 2xx stands for; for clients that do not raise.

    The body tells a pace from an empty account and from a request that can never fit; the wait is read from wherever
    providers write it.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    return provider_error(Peer(host), Reply(status, lowered, body))


def openai_errors(error: Exception) -> RushhourError | None:
    """Translate what OpenAI's SDK raises, and SDKs that are generated alike, as Anthropic's and Groq's."""
    kinds = _kinds(error)
    if "APITimeoutError" in kinds:
        return AttemptTimeout(f"{_host(error)} did not answer in time ({_words(error)}).")
    if "APIConnectionError" in kinds:
        return ConnectionLost(f"The connection to {_host(error)} failed ({_words(error)}).")
    if "APIResponseValidationError" in kinds:
        return MalformedReply(f"{_host(error)} answered what its API does not promise ({_words(error)}).")
    if "APIStatusError" in kinds:
        return _status_error(error, getattr(error, "status_code", None), getattr(error, "response", None))
    if "APIError" in kinds:  # inside a stream, after a 200
        return event_error(Peer(_host(error)), _body(error))
    return httpx_errors(error)


def httpx_errors(error: Exception) -> RushhourError | None:
    """Translate what httpx raises: refused statuses, timeouts, lost connections."""
    kinds = _kinds(error, "httpx")
    if "HTTPStatusError" in kinds:
        response = getattr(error, "response", None)
        return _status_error(error, getattr(response, "status_code", None), response)
    if "TimeoutException" in kinds:
        return AttemptTimeout(f"{_host(error)} did not answer in time ({_words(error)}).")
    if "TransportError" in kinds:
        return ConnectionLost(f"The connection to {_host(error)} failed ({_words(error)}).")
    return None


def aiohttp_errors(error: Exception) -> RushhourError | None:
    """Translate what aiohttp raises.

    `raise_for_status` loses the body that tells an empty account from a pace: rather raise `reply_error(status,
    headers, body)` yourself.
    """
    kinds = _kinds(error, "aiohttp")
    if "ServerTimeoutError" in kinds:
        return AttemptTimeout(f"{_host(error)} did not answer in time ({_words(error)}).")
    status = getattr(error, "status", None)
    if "ContentTypeError" in kinds or ("ClientResponseError" in kinds and status == 200):
        return MalformedReply(f"{_host(error)} answered what was not asked for ({_words(error)}).")
    if "ClientResponseError" in kinds:
        return _status_error(error, status, error)
    if "ClientError" in kinds and "aiohttp" in sys.modules:
        from rushhour.hops.transport_errors import transport_error  # needs aiohttp, which is there: it raised

        return transport_error(error, Peer(_host(error)), 0.0)
    return network_errors(error)


def network_errors(error: Exception) -> RushhourError | None:
    """Translate what Python's own network layer raises."""
    if isinstance(error, TimeoutError):
        return AttemptTimeout(f"The call took too long ({_words(error)}).")
    if isinstance(error, ConnectionError | socket.gaierror):
        return ConnectionLost(f"The connection failed ({_words(error)}).")
    return None


def known_errors(error: Exception) -> RushhourError | None:
    """Translate whatever this module knows of: the SDKs, httpx, aiohttp, and Python's own."""
    return openai_errors(error) or aiohttp_errors(error)


def translation(errors: Errors | Iterable[Errors]) -> Translate:
    """Make one translation of functions and of mappings from exception classes to ours; the first that knows wins."""
    several = [errors] if callable(errors) or isinstance(errors, Mapping) else list(errors)
    translations = [_of_mapping(one) if isinstance(one, Mapping) else one for one in several]

    def translate(error: Exception) -> RushhourError | None:
        for one in translations:
            if (ours := one(error)) is not None:
                return ours
        return None

    return translate


def _of_mapping(kinds: Mapping[Any, Callable[[Any], RushhourError]]) -> Translate:
    def translate(error: Exception) -> RushhourError | None:
        for kind in type(error).__mro__:
            if (make := kinds.get(kind)) is not None:
                return make(_words(error)) if isinstance(make, type) else make(error)
        return None

    return translate


def _status_error(error: Exception, status: object, response: object) -> UpstreamError:
    if not isinstance(status, int) or status < 300:
        return MalformedReply(f"{_host(error)} answered what its API does not promise ({_words(error)}).")
    headers = getattr(response, "headers", None)
    named = dict(headers) if isinstance(headers, Mapping) else {}
    return reply_error(status, named, _body(error), _host(error))


def _body(error: Exception) -> bytes:
    """Return the refusal's body, as far as the client kept it: as it came, parsed, or in words."""
    response = getattr(error, "response", None)
    try:
        content = getattr(response, "content", None)
    except RuntimeError:  # httpx: the body was not read, and cannot be by now
        content = None
    if isinstance(content, bytes) and content:
        return content
    parsed = getattr(error, "body", None)
    if isinstance(parsed, dict):
        try:
            return msgspec.json.encode(parsed if "error" in parsed else {"error": parsed})
        except (TypeError, ValueError, RecursionError):
            return str(error).encode()
    return str(getattr(error, "message", "") or parsed or "").encode()


def _host(error: Exception) -> str:
    known = vars(error)
    request = known.get("request") or known.get("_request") or known.get("request_info")
    url = getattr(request, "url", None) or getattr(request, "real_url", None)
    return str(getattr(url, "host", None) or getattr(error, "host", None) or "The provider")


def _kinds(error: Exception, package: str = "") -> set[str]:
    """Return the names of an exception's classes; of one package (or of its successors: httpx2), or of all."""
    return {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith(package)}


def _words(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:150]}" if words else type(error).__name__
