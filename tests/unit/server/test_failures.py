"""Every error of the tree as an HTTP reply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rushhour import errors
from rushhour.errors import RushhourError
from rushhour.server.failures import ShuttingDown, failure


def tree(root: type[RushhourError]) -> list[type[RushhourError]]:
    """List a type and all below it."""
    return [root, *(kind for child in root.__subclasses__() for kind in tree(child))]


@pytest.mark.parametrize("kind", tree(RushhourError), ids=lambda kind: kind.__name__)
def test_every_error_has_the_shape(kind: type[RushhourError]) -> None:
    """Whatever is raised, the reply has its status, its message and OpenAI's four fields."""
    told = failure(kind("It broke."), "req_1")
    error = json.loads(told.body)["error"]

    assert told.status == kind.status
    assert 400 <= told.status < 600
    assert set(error) - {"retry_after_ms"} == {"message", "type", "param", "code"}
    assert (error["message"], error["code"]) == ("It broke.", kind.code)


@pytest.mark.parametrize(
    ("error", "wait_ms"),
    [
        (errors.WouldMissDeadline("no", retry_after=12.3456), 12_346),
        (errors.TruncatedStream("cut"), 500),
        (errors.ConnectionLost("reset", retry_after=2.0), 2_000),
        (errors.QuotaExhausted("broke", retry_after=60.0), None),
        (errors.InvalidRequest("no"), None),
        (errors.DeadlineExceeded("late"), None),
    ],
)
def test_when_to_ask_again_is_in_the_body(error: errors.RushhourError, wait_ms: int | None) -> None:
    """An error that ends a stream has no headers left to say it in; where asking again is in vain it says nothing."""
    told = json.loads(failure(error, "req_1").event.removeprefix(b"data: "))["error"]

    assert told.get("retry_after_ms") == wait_ms


@pytest.mark.parametrize(
    ("error", "kind", "retry"),
    [
        (errors.QueueFull("no", retry_after=0.2), "overloaded_error", b"true"),
        (errors.Throttled("slow"), "rate_limit_error", b"true"),
        (ShuttingDown("bye"), "server_error", b"true"),
        (errors.QuotaExhausted("broke"), "insufficient_quota", b"false"),
        (errors.Unauthorized("key"), "upstream_error", b"false"),
        (errors.TooLarge("big"), "invalid_request_error", b"false"),
        (errors.DeadlineExceeded("late"), "server_error", b"false"),
        (errors.Unavailable("down"), "upstream_error", None),
        (errors.InvalidRequest("what"), "invalid_request_error", None),
    ],
)
def test_advice(error: RushhourError, kind: str, retry: bytes | None) -> None:
    """A client is told to retry what may pass, not to retry what cannot, and nothing where it knows itself."""
    told = failure(error, "req_1")
    assert json.loads(told.body)["error"]["type"] == kind
    assert dict(told.headers).get(b"x-should-retry") == retry


@pytest.mark.parametrize(
    ("seconds", "whole", "exact"),
    [(3.2, b"4", b"3200"), (0.0004, b"1", b"1"), (None, b"1", b"1000"), (-5, b"0", b"0")],
)
def test_time_to_come_back(seconds: float | None, whole: bytes, exact: bytes) -> None:
    """The advised time is rounded up, never down; without advice it is a second."""
    headers = dict(failure(errors.WouldMissDeadline("no", retry_after=seconds), "req_1").headers)
    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (whole, exact)


def test_the_field_at_fault_is_named() -> None:
    """`param` travels to the user."""
    told: Any = json.loads(failure(errors.InvalidRequest("no", param="n"), "req_1").body)
    assert told["error"]["param"] == "n"


def test_a_bug_tells_nothing_but_the_id() -> None:
    """What we did not foresee may hold secrets."""
    told = failure(KeyError("password"), "req_77")
    assert told.status == 500
    assert b"password" not in told.body
    assert b"req_77" in told.body
