"""When a file is tried again."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import (
    CircuitOpen,
    ConnectionLost,
    QueueFull,
    Rejected,
    RushhourError,
    Throttled,
    Unauthorized,
    Unavailable,
    UnreadableDocument,
)
from rushhour.rag.ingestion.patience import Patience, is_transient


@pytest.mark.parametrize("cause", [Unavailable(), ConnectionLost(), Throttled(), QueueFull(), CircuitOpen()])
def test_bad_moments_pass(cause: RushhourError) -> None:
    """An upstream's trouble, and our own refusals for now."""
    assert is_transient(cause)
    assert Patience().wait(1, cause, random.Random(1)) is not None


@pytest.mark.parametrize("cause", [UnreadableDocument(), Rejected(), Unauthorized()])
def test_what_is_wrong_stays_wrong(cause: RushhourError) -> None:
    """The document's own trouble, or a key's: trying again changes nothing."""
    assert not is_transient(cause)
    assert Patience().wait(1, cause, random.Random(1)) is None


@given(st.integers(1, 30), st.integers(0, 100))
def test_the_wait_doubles_up_to_a_bound(attempt: int, seed: int) -> None:
    """Give or take half, so that files which failed together are not tried together."""
    patience = Patience(attempts=40, first_s=2, longest_s=60)
    usual = min(2.0**attempt, 60)

    wait = patience.wait(attempt, Unavailable(), random.Random(seed))

    assert wait is not None
    assert usual / 2 <= wait <= usual * 1.5


def test_attempts_are_bounded() -> None:
    """The third failure is the last."""
    assert Patience(attempts=3).wait(2, Unavailable(), random.Random(1)) is not None
    assert Patience(attempts=3).wait(3, Unavailable(), random.Random(1)) is None


def test_advice_outranks_backoff_within_bounds() -> None:
    """Whoever says when to come back is heard, though not for an hour."""
    patience = Patience(first_s=1, longest_s=60)

    assert patience.wait(1, Unavailable(retry_after=20), random.Random(1)) == 20
    assert patience.wait(1, Unavailable(retry_after=3600), random.Random(1)) == 60
