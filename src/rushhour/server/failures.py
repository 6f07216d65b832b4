"""Every error as the HTTP reply that OpenAI's clients understand.

`{"error": {"message", "type", "param", "code"}}`, with the error's own status. Overload is 429, never 503: a load
balancer would take a healthy replica for a broken one. `x-should-retry` overrules the client's own idea of what may
pass: retries that cannot help would only add to the load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec

from rushhour.errors import (
    DeadlineExceeded,
    InvalidRequest,
    QuotaExhausted,
    Refusal,
    RushhourError,
    Throttled,
    TooLarge,
    UpstreamError,
)

Headers = list[tuple[bytes, bytes]]


class UnknownPath(InvalidRequest):
    """Nothing is served at this path."""

    status = 404
    code = "unknown_path"


class WrongMethod(InvalidRequest):
    """The path is served, but not with this method."""

    status = 405
    code = "method_not_allowed"


class BodyTooSlow(InvalidRequest):
    """The request's body did not arrive in time."""

    status = 408
    code = "request_timeout"


class ShuttingDown(RushhourError):
    """The server is shutting down."""

    status = 503
    code = "server_shutting_down"


class ClientGone(Exception):
    """The client hung up; nobody is left to answer."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error, ready to be sent: as a response of its own, or as the last event of a stream."""

    status: int
    code: str
    body: bytes
    headers: Headers = field(default_factory=list)

    @property
    def event(self) -> bytes:
        """The same as a server-sent event."""
        return b"data: " + self.body + b"\n\n"


ASK_AGAIN_S = 0.5
"""When to ask again after an upstream's failure that nobody gave a time for."""


def failure(error: Exception, request_id: str) -> Failure:
    """Describe an error to the user; of one that we did not foresee only the request's id is told."""
    if not isinstance(error, RushhourError):
        message = f"Something broke inside the server. Please report it and name the request {request_id}."
        return Failure(500, RushhourError.code, _body(message, "server_error", None, RushhourError.code))
    param = error.param if isinstance(error, InvalidRequest) else None
    body = _body(str(error), _kind(error), param, error.code, _wait(error))
    return Failure(error.status, error.code, body, _advice(error))


def _body(message: str, kind: str, param: str | None, code: str, wait_s: float | None = None) -> bytes:
    """Write OpenAI's error object, with `retry_after_ms` where asking again can help: a stream has no headers left."""
    content: dict[str, str | int | None] = {"message": message, "type": kind, "param": param, "code": code}
    if wait_s is not None:
        content["retry_after_ms"] = math.ceil(wait_s * 1000)
    return msgspec.json.encode({"error": content})


def _wait(error: RushhourError) -> float | None:
    """Seconds after which asking again can help; None where it cannot."""
    if isinstance(error, Refusal | Throttled | ShuttingDown):
        return 1.0 if error.retry_after is None else max(error.retry_after, 0.0)
    if isinstance(error, UpstreamError) and error.may_pass:
        return max(error.retry_after or 0.0, ASK_AGAIN_S)
    return None


def _kind(error: RushhourError) -> str:
    match error:
        case InvalidRequest() | TooLarge():
            return "invalid_request_error"
        case Refusal():
            return "overloaded_error"
        case Throttled():
            return "rate_limit_error"
        case QuotaExhausted():
            return "insufficient_quota"
        case UpstreamError():
            return "upstream_error"
        case _:
            return "server_error"


def _advice(error: RushhourError) -> Headers:
    """Tell whether and when to come back."""
    seconds = _wait(error)
    if seconds is not None and isinstance(error, Refusal | Throttled | ShuttingDown):
        return [
            (b"retry-after", b"%d" % math.ceil(seconds)),
            (b"retry-after-ms", b"%d" % math.ceil(seconds * 1000)),
            (b"x-should-retry", b"true"),
        ]
    if isinstance(error, DeadlineExceeded) or (isinstance(error, UpstreamError) and not error.may_pass):
        return [(b"x-should-retry", b"false")]
    return []
