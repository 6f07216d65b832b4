"""The limiter's arithmetic and its messages, to the millisecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.simulator.durations import go_duration
from rushhour.simulator.limiter import Bucket, RateLimiter
from rushhour.simulator.refusals import Exceeded, TooLarge


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.012, "12ms"),
        (0.52248, "522ms"),
        (6.2, "6.2s"),
        (20, "20s"),
        (36.27, "36.27s"),
        (59.9996, "1m0s"),
        (86.4, "1m26.4s"),
        (360, "6m0s"),
        (4320, "1h12m0s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, written: str) -> None:
    """Milliseconds below a second, then trimmed seconds, minutes and hours."""
    assert go_duration(seconds) == written


@pytest.mark.parametrize(
    ("limit", "used", "requested", "wait"),
    [
        (1_000_000, 974_150, 34_558, "522ms"),
        (30_000, 28_100, 5_000, "6.2s"),
        (10_000, 9_400, 14_000, None),
        (10_000, 9_400, 10_000, "56.4s"),
        (200_000, 199_000, 2_200, "360ms"),
        (500_000, 500_000, 500_000, "1m0s"),
    ],
)
def test_token_refusals_tell_the_wait_of_the_formula(limit: int, used: int, requested: int, wait: str | None) -> None:
    """W = (U + R − L)/(L/60), the first as captured from the provider; None stands for what never fits."""
    limiter = RateLimiter(rpm=10_000, tpm=limit)
    assert limiter.admit(used, now=0.0) is None

    refusal = limiter.admit(requested, now=0.0)

    if wait is None:
        assert isinstance(refusal, TooLarge)
    else:
        assert isinstance(refusal, Exceeded)
        assert (refusal.limit, refusal.used, refusal.requested) == (limit, used, requested)
        assert go_duration(refusal.wait) == wait


def test_request_refusal_reproduces_the_published_message() -> None:
    """Three requests a minute, all used: the fourth is told 20 s, in the provider's words."""
    limiter = RateLimiter(rpm=3, tpm=40_000)
    for _ in range(3):
        assert limiter.admit(10, now=5.0) is None

    refusal = limiter.admit(10, now=5.0)

    assert isinstance(refusal, Exceeded)
    assert refusal.message("any-model", "org-x").startswith(
        "Rate limit reached for any-model in organization org-x on requests per min (RPM): "
        "Limit 3, Used 3, Requested 1. Please try again in 20s."
    )
    assert limiter.admit(10, now=24.999) is not None
    assert limiter.admit(10, now=25.0) is None


def test_a_request_over_the_limit_is_too_large_for_ever() -> None:
    """Asking for more than a minute's tokens is refused without a time to come back."""
    refusal = RateLimiter(rpm=10, tpm=30_000).admit(31_538, now=0.0)

    assert isinstance(refusal, TooLarge)
    assert refusal.message("m", "org-x").startswith(
        "Request too large for m in organization org-x on tokens per min (TPM): Limit 30000, Requested 31538."
    )


@pytest.mark.parametrize(
    ("rpm", "tpm", "told"), [(10**12, 10**12, set()), (10**12, 600, {"tokens"}), (10**12 - 1, 10**12, {"requests"})]
)
def test_no_headers_of_what_is_no_limit(rpm: int, tpm: int, told: set[str]) -> None:
    """A server of one's own counts nothing, so it has nothing to tell."""
    headers = RateLimiter(rpm=rpm, tpm=tpm).headers(now=0.0)

    assert {name.rpartition("-")[2] for name in headers} == told
    assert len(headers) == 3 * len(told)


def test_headers_tell_limit_remaining_and_time_until_full() -> None:
    """One request of 5,000 a minute leaves 4,999, and 12 ms until full."""
    limiter = RateLimiter(rpm=5_000, tpm=600_000)
    limiter.admit(10_000, now=0.0)

    assert limiter.headers(now=0.0) == {
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        "x-ratelimit-limit-tokens": "600000",
        "x-ratelimit-remaining-tokens": "590000",
        "x-ratelimit-reset-tokens": "1s",
    }


def test_a_limit_enforced_per_second_lets_a_second_of_it_pass_at_once() -> None:
    """3,000 a minute with a bucket one second deep: fifty, then one each 20 ms, and the message's formula holds."""
    limiter = RateLimiter(rpm=3_000, tpm=10_000_000, burst_s=1)
    admitted = [limiter.admit(1, now=0.0) is None for _ in range(60)]

    refusal = limiter.admit(1, now=0.0)

    assert sum(admitted) == 50
    assert isinstance(refusal, Exceeded)
    assert (refusal.used + refusal.requested - refusal.limit) / (refusal.limit / 60) == refusal.wait == 0.02
    assert limiter.admit(1, now=0.02) is None
    assert limiter.admit(1, now=0.02) is not None


def test_tokens_and_requests_are_debited_together_or_not_at_all() -> None:
    """A call refused for its tokens does not use up a request."""
    limiter = RateLimiter(rpm=2, tpm=100)
    assert limiter.admit(90, now=0.0) is None

    assert limiter.admit(90, now=0.0) is not None

    assert limiter.headers(now=0.0)["x-ratelimit-remaining-requests"] == "1"


def test_the_longer_wait_is_told() -> None:
    """Where both dimensions refuse, waiting for the one that is told is enough for both."""
    limiter = RateLimiter(rpm=1, tpm=60_000)
    limiter.admit(60_000, now=0.0)

    refusal = limiter.admit(1_000, now=0.0)

    assert isinstance(refusal, Exceeded)
    assert refusal.dimension == "requests"
    assert refusal.wait == 60.0


def test_a_call_deeper_than_the_bucket_passes_when_full_and_leaves_a_debt() -> None:
    """Within the minute's limit nothing is refused for ever, and the long-run rate still holds."""
    limiter = RateLimiter(rpm=6_000, tpm=60_000, burst_s=1)

    assert limiter.admit(3_000, now=0.0) is None
    refusal = limiter.admit(3_000, now=0.0)

    assert isinstance(refusal, Exceeded)
    assert refusal.wait == 3.0
    assert limiter.admit(3_000, now=3.0) is None


@pytest.mark.parametrize(("counts", "admitted_at_20_s"), [(False, True), (True, False)])
def test_unsuccessful_calls_count_where_the_switch_says_so(counts: bool, admitted_at_20_s: bool) -> None:
    """With the switch on, knocking every second keeps the bucket empty."""
    limiter = RateLimiter(rpm=3, tpm=1_000, count_unsuccessful=counts)
    for _ in range(3):
        limiter.admit(1, now=0.0)
    for second in range(20):
        limiter.admit(1, now=float(second))

    assert (limiter.admit(1, now=20.0) is None) is admitted_at_20_s


@given(
    limit=st.integers(1, 10_000),
    burst_s=st.floats(0.1, 60),
    calls=st.lists(st.tuples(st.floats(0, 5), st.integers(1, 500)), min_size=1, max_size=60),
)
def test_no_window_admits_more_than_capacity_and_refill(
    limit: int, burst_s: float, calls: list[tuple[float, int]]
) -> None:
    """Whatever the arrivals, every window's admitted cost is within what the bucket held plus what flowed in."""
    bucket, now = Bucket(limit, burst_s), 0.0
    admitted: list[tuple[float, int]] = []
    for gap, cost in calls:
        now += gap
        if bucket.fits(cost, now):
            bucket.take(cost, now)
            admitted.append((now, cost))

    for first, (start, _) in enumerate(admitted):
        total = 0
        for end, cost in admitted[first:]:
            total += cost
            deepest = max(bucket.capacity, cost)  # a call deeper than the bucket leaves a debt
            assert total <= deepest + (end - start) * bucket.rate + 1e-3


@given(
    rpm=st.integers(1, 5_000),
    tpm=st.integers(100, 100_000),
    burst_s=st.sampled_from([1.0, 10.0, 60.0]),
    calls=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 100)), min_size=1, max_size=80),
)
def test_whoever_waits_as_told_is_admitted(rpm: int, tpm: int, burst_s: float, calls: list[tuple[float, int]]) -> None:
    """The wait that a refusal tells is enough, if nobody else comes first."""
    limiter, now = RateLimiter(rpm, tpm, burst_s), 0.0
    for gap, tokens in calls:
        now += gap
        refusal = limiter.admit(tokens, now)
        if refusal is not None:
            assert isinstance(refusal, Exceeded)
            now += refusal.wait
            assert limiter.admit(tokens, now) is None
