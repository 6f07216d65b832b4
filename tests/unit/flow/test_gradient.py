"""The limit on calls in flight follows the upstream's latency, and nothing else."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.flow.algorithms.gradient import Gradient2


class Server:
    """An upstream of so many workers, each busy for `seconds` with a call: more calls than workers queue there."""

    def __init__(self, workers: int, seconds: float) -> None:
        self.workers = workers
        self.seconds = seconds
        self.now = 0.0

    def round_trips(self, gradient: Gradient2, count: int, wanted: float = math.inf) -> None:
        """Send as many calls at once as the limit allows, or as are `wanted`, again and again."""
        for _ in range(count):
            in_flight = int(min(gradient.limit, wanted))
            rtt = self.seconds * max(1.0, in_flight / self.workers)
            self.now += rtt
            for _ in range(in_flight):
                gradient.add(rtt, in_flight, self.now)


def test_grows_while_latency_stays() -> None:
    """An upstream that does not mind gets more: at most four fifths of a call a round trip, up to the maximum."""
    gradient = Gradient2(initial=20, maximum=50)
    server = Server(workers=1000, seconds=0.2)

    server.round_trips(gradient, 12)
    assert 20 + 6 * 0.8 <= gradient.limit <= 20 + 12 * 0.8

    server.round_trips(gradient, 100)
    assert gradient.limit == 50


def test_settles_where_the_upstream_begins_to_queue() -> None:
    """The limit stays near what the upstream's workers can do: busy, with a short queue at most."""
    gradient = Gradient2(initial=20, maximum=1000)
    server = Server(workers=50, seconds=0.2)

    server.round_trips(gradient, 300)

    assert 50 <= gradient.limit <= 120


def test_shrinks_when_the_upstream_loses_workers() -> None:
    """Half the workers gone: latency doubles, and the limit follows within seconds."""
    gradient = Gradient2(initial=80, maximum=200)
    server = Server(workers=100, seconds=0.2)
    server.round_trips(gradient, 30)
    before = gradient.limit

    server.workers = 25
    server.round_trips(gradient, 40)

    assert gradient.limit < 0.6 * before


def test_a_lasting_change_of_latency_is_believed_in_time() -> None:
    """A slower model is no overload: after some hundred round trips its latency is the new normal."""
    gradient = Gradient2(initial=60, maximum=60)
    server = Server(workers=1000, seconds=0.2)
    server.round_trips(gradient, 100)

    server.seconds = 0.5
    server.round_trips(gradient, 30)
    assert gradient.limit < 40

    server.round_trips(gradient, 500)
    assert gradient.limit == 60


def test_a_long_overload_leaves_no_wrong_idea_of_normal() -> None:
    """After it, the long-term average returns by itself, so that the next overload is seen."""
    gradient = Gradient2(initial=50, maximum=50)
    server = Server(workers=1000, seconds=2.0)
    server.round_trips(gradient, 1000)
    server.seconds = 0.2
    server.round_trips(gradient, 200)
    server.seconds = 0.8

    server.round_trips(gradient, 20)

    assert gradient.limit < 35


def test_no_growth_while_permits_lie_idle() -> None:
    """Fewer than half the permits in use tell nothing of the limit, fast or slow."""
    gradient = Gradient2(initial=40)
    server = Server(workers=1000, seconds=0.2)

    server.round_trips(gradient, 200, wanted=19)
    assert gradient.limit == 40

    server.seconds = 1.0
    server.round_trips(gradient, 5, wanted=19)
    assert gradient.limit == 40


def test_failures_shrink_it_by_their_share_and_at_most_by_half() -> None:
    """A hundred timeouts of one moment are one congestion event; the next round trip may be another."""
    gradient = Gradient2(initial=100)
    for n in range(100):
        gradient.drop(n * 0.0011)
    assert gradient.limit == 50

    for n in range(100):
        gradient.drop(0.11 + n * 0.0011)
    assert gradient.limit == 25


def test_stray_failures_cost_little() -> None:
    """One call in a hundred failing for reasons of its own does not close the door."""
    gradient = Gradient2(initial=20, maximum=200)
    now = 0.0
    for _ in range(400):
        now += 0.2
        for n in range(gradient.limit):
            if random.Random(f"{now} {n}").random() < 0.01:
                gradient.drop(now)
            else:
                gradient.add(0.2, gradient.limit, now)

    assert 50 < gradient.limit < 150


def test_what_failures_took_comes_back_soon() -> None:
    """An outage halves it to the minimum; ten good windows later it is where it was, not one call further."""
    gradient = Gradient2(initial=100, minimum=4, maximum=200)
    now = 0.0
    for _ in range(600):
        now += 0.01
        gradient.drop(now)
    assert gradient.limit == 4

    for _ in range(10):
        now += 0.2
        for _ in range(max(gradient.limit, 10)):
            gradient.add(0.1, gradient.limit, now)

    assert gradient.limit in range(100, 104)


def test_an_upstream_that_stays_smaller_is_not_overrun_again_and_again() -> None:
    """It bore 150 and bears 20 from now on: slow start leads there once, and then no further than it bears."""
    gradient = Gradient2(initial=100, minimum=4, maximum=200)
    failed = asked = 0
    now = 0.0
    for window in range(1_000):
        capacity = 150 if window < 100 else 20
        limit = gradient.limit
        for n in range(max(limit, 10)):
            now += 0.2 / max(limit, 10)
            if n < capacity:
                gradient.add(0.1, limit, now)
            else:
                gradient.drop(now)
            if window >= 200:
                asked, failed = asked + 1, failed + (n >= capacity)
        if window >= 200:
            assert gradient.limit < 40

    assert failed / asked < 0.06


def test_microseconds_are_no_overload() -> None:
    """An upstream next door answers in 50 µs, or in 2 ms when our own loop is busy: that is not its queue."""
    gradient = Gradient2(initial=50, maximum=100)
    dice, now = random.Random(1), 0.0
    for _ in range(20_000):
        now += 0.001
        gradient.add(dice.choice([0.0, 0.00005, 0.002]), 50, now)

    assert gradient.limit == 100


def test_a_window_that_silence_interrupted_is_thrown_away() -> None:
    """Nine samples of yesterday and one of today say nothing together."""
    quiet, lively = Gradient2(initial=20), Gradient2(initial=20)
    for gradient, pause in ((quiet, 3600.0), (lively, 0.2)):
        for n in range(9):
            gradient.add(0.2, 20, n * 0.01)
        for _ in range(2):
            gradient.add(0.2, 20, 0.09 + pause)

    assert lively._limit > 20
    assert quiet._limit == 20


def test_a_small_limit_grows_again() -> None:
    """With one permit there are never ten calls in a round trip; it recovers all the same."""
    gradient = Gradient2(initial=1, maximum=20)

    Server(workers=1000, seconds=0.2).round_trips(gradient, 60)

    assert gradient.limit == 20


samples = st.one_of(
    st.floats(0.0, 100.0),
    st.floats(),
    st.sampled_from([0.0, -1.0, math.inf, math.nan, 1e-300, 1e300]),
)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(0, 30),
    st.integers(0, 200),
    st.lists(st.tuples(samples, st.integers(0, 500), st.floats(), st.booleans()), max_size=80),
)
def test_whatever_comes_in_the_limit_stays_within_its_bounds(
    minimum: int, above: int, more: int, calls: list[tuple[float, int, float, bool]]
) -> None:
    """Impossible latencies, clocks that jump in both directions, absurd counts: a whole number within the bounds."""
    gradient = Gradient2(minimum + above, minimum, minimum + above + more + 4)
    for rtt, in_flight, now, dropped in calls:
        limit = gradient.drop(now) if dropped else gradient.add(rtt, in_flight, now)
        assert isinstance(limit, int)
        assert minimum <= limit <= gradient.maximum


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"initial": 0}, "initial is 0"),
        ({"initial": 10, "minimum": 20}, "order minimum <= initial"),
        ({"initial": 10, "maximum": 5}, "order minimum <= initial"),
        ({"minimum": -1}, "minimum is -1"),
        ({"maximum": 2.5}, "maximum is 2.5"),
        ({"tolerance": 0.5}, "tolerance is 0.5"),
        ({"tolerance": math.nan}, "tolerance is nan"),
        ({"headroom": 0.0}, "headroom is 0.0"),
        ({"smoothing": 1.5}, "smoothing is 1.5"),
        ({"long_windows": 1}, "long_windows is 1"),
    ],
)
def test_impossible_parameters_are_refused(wrong: dict[str, float], named: str) -> None:
    """The error names the parameter, its value and what it may be."""
    with pytest.raises(ValueError, match=named):
        Gradient2(**wrong)  # type: ignore[arg-type]  # wrong on purpose
