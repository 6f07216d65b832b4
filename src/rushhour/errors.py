"""Everything that can go wrong, by type: nothing above an adapter ever reads a message to decide.

::

    RushhourError
    ├── UpstreamError              something a provider said, or failed to say
    │   ├── Throttled              429, pace: wait as told                        may pass
    │   ├── Unavailable            5xx, overloaded, an edge's HTML page           may pass
    │   ├── ConnectionLost         refused, reset, closed under a request         may pass
    │   ├── AttemptTimeout         one attempt took longer than its timeout       may pass
    │   ├── MalformedReply         200, but not what the API promises             may pass
    │   ├── TruncatedStream        ended without a finish reason or [DONE]        may pass
    │   ├── QuotaExhausted         429, money: no waiting helps                   never
    │   ├── TooLarge               this request can never fit                     never
    │   ├── Rejected               400/404/422: the provider refuses the request  never
    │   └── Unauthorized           401/403: a key or permission is wrong          never
    ├── Refusal                    we said no: early, honestly, with a time to come back
    │   ├── QueueFull              the waiting room is full
    │   ├── WouldMissDeadline      the predicted wait is longer than the caller's patience
    │   ├── RetryBudgetSpent       too many failures lately to add more load
    │   └── CircuitOpen            the hop failed lately and rests               may pass
    ├── DeadlineExceeded           the caller's time is up
    ├── InvalidRequest             the caller's request is wrong
    │   ├── UnknownCollection
    │   ├── Unauthenticated
    │   └── BodyTooLarge
    ├── DocumentError              one document cannot be ingested; the others go on
    │   ├── UnreadableDocument     missing, not permitted, broken bytes
    │   ├── UnsupportedFormat
    │   └── EmptyDocument
    └── SettingsError              every wrong setting at once, each with its remedy

`may_pass` says whether trying the same again can help; `status` is the HTTP status a caller sees; `code` is
stable and machine-readable; `retry_after` is in seconds, where somebody advised a time.
"""

from typing import ClassVar


class RushhourError(Exception):
    """Root of the tree."""

    may_pass: ClassVar[bool] = False
    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").split("\n", 1)[0])
        self.retry_after = retry_after


class UpstreamError(RushhourError):
    """A provider failed us."""

    status = 502
    code = "upstream_error"


class Throttled(UpstreamError):
    """The provider asks for a slower pace."""

    may_pass = True
    status = 429
    code = "rate_limit_exceeded"


class Unavailable(UpstreamError):
    """The provider, or the edge before it, cannot serve right now."""

    may_pass = True
    code = "upstream_unavailable"


class ConnectionLost(UpstreamError):
    """The connection was refused, reset or closed under the request."""

    may_pass = True
    code = "upstream_connection_lost"


class AttemptTimeout(UpstreamError):
    """One attempt took longer than its own timeout."""

    may_pass = True
    status = 504
    code = "upstream_timeout"


class MalformedReply(UpstreamError):
    """The provider answered something its API does not promise."""

    may_pass = True
    code = "upstream_malformed_reply"


class TruncatedStream(UpstreamError):
    """The stream ended without a finish reason."""

    may_pass = True
    code = "upstream_truncated_stream"


class QuotaExhausted(UpstreamError):
    """The provider's account is out of money or quota; waiting does not help."""

    status = 503
    code = "upstream_quota_exhausted"


class TooLarge(UpstreamError):
    """The request is larger than the provider will ever accept."""

    status = 400
    code = "request_too_large"


class Rejected(UpstreamError):
    """The provider refuses this request as wrong."""

    code = "upstream_rejected"


class Unauthorized(UpstreamError):
    """The provider refuses our key or its permissions."""

    code = "upstream_unauthorized"


class Refusal(RushhourError):
    """No, for now: come back after `retry_after` seconds."""

    status = 429
    code = "overloaded"


class QueueFull(Refusal):
    """The waiting room is full."""


class WouldMissDeadline(Refusal):
    """The predicted wait is longer than the caller's deadline."""


class RetryBudgetSpent(Refusal):
    """Too many calls failed lately to add retries on top."""


class CircuitOpen(Refusal):
    """The hop failed lately and rests until its next probe."""

    may_pass = True


class DeadlineExceeded(RushhourError):
    """The caller's deadline passed before the work was done."""

    status = 504
    code = "deadline_exceeded"


class InvalidRequest(RushhourError):
    """The caller's request is wrong."""

    status = 400
    code = "invalid_request"

    def __init__(self, message: str = "", *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class UnknownCollection(InvalidRequest):
    """No collection has that name."""

    status = 404
    code = "model_not_found"


class Unauthenticated(InvalidRequest):
    """The request carries no valid API key."""

    status = 401
    code = "invalid_api_key"


class BodyTooLarge(InvalidRequest):
    """The request's body is larger than this server accepts."""

    status = 413
    code = "request_too_large"


class DocumentError(RushhourError):
    """One document cannot be ingested."""

    status = 400
    code = "invalid_file"


class UnreadableDocument(DocumentError):
    """The document cannot be read: missing, not permitted or broken."""


class UnsupportedFormat(DocumentError):
    """No parser is registered for this format."""

    code = "unsupported_file"


class EmptyDocument(DocumentError):
    """The document holds no text."""


class SettingsError(RushhourError):
    """One or more settings are wrong; the message lists them all."""

    code = "invalid_settings"
