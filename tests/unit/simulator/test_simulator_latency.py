"""Latencies and luck: deterministic by seed, shaped as measured, and growing with load."""

import statistics

import pytest

from rushhour.simulator.draws import Draw, Draws
from rushhour.simulator.latency import LatencySpec, SharedQueue
from rushhour.simulator.profiles import Profile


def _draws(seed: int, count: int) -> list[Draw]:
    draws = Draws(seed, "chat")
    return [draws.next() for _ in range(count)]


def test_the_same_seed_gives_the_same_luck() -> None:
    """Two runs agree draw by draw; another seed or another surface does not."""
    numbers = [draw.uniform("a") for draw in _draws(7, 50)]

    assert numbers == [draw.uniform("a") for draw in _draws(7, 50)]
    assert numbers != [draw.uniform("a") for draw in _draws(8, 50)]
    assert Draws(7, "chat").next().uniform("a") != Draws(7, "embeddings").next().uniform("a")


def test_a_restart_begins_with_the_first_draw() -> None:
    """After a restart the numbers come again in the same order."""
    draws = Draws(3, "chat")
    first = draws.next().uniform("x")
    draws.next()

    draws.restart()

    assert draws.next().uniform("x") == first


def test_purposes_are_independent_and_uniform() -> None:
    """Numbers for two purposes spread evenly and do not follow each other."""
    draws = _draws(1, 4_000)
    first, second = [d.uniform("first") for d in draws], [d.uniform("second") for d in draws]

    assert statistics.fmean(first) == pytest.approx(0.5, abs=0.02)
    assert statistics.pstdev(first) == pytest.approx(0.2887, abs=0.01)
    assert abs(statistics.correlation(first, second)) < 0.05


def test_normal_numbers_have_mean_0_and_deviation_1() -> None:
    """The normal draws are standard."""
    numbers = [draw.normal("n") for draw in _draws(2, 4_000)]

    assert statistics.fmean(numbers) == pytest.approx(0, abs=0.05)
    assert statistics.pstdev(numbers) == pytest.approx(1, abs=0.05)


def test_times_to_first_token_have_the_measured_quantiles() -> None:
    """Median 0.54–0.66 s, p95 0.84–1.09 s, p99 2.2–4.5 s, none above 6 s."""
    spec = Profile().chat.latency
    times = sorted(spec.seconds(draw) for draw in _draws(1, 10_000))

    assert 0.53 < times[5_000] < 0.66
    assert 0.84 < times[9_500] < 1.10
    assert times[9_890] < 4.5
    assert times[9_960] > 2.2
    assert times[-1] < 6.0


def test_one_call_in_a_hundred_is_slow() -> None:
    """The slow tail has its share and its range."""
    spec = LatencySpec(median_s=0.1, sigma=0.0, slow_share=0.01, slow_s=(2.0, 4.0))
    slow = [time for draw in _draws(5, 10_000) if (time := spec.seconds(draw)) != 0.1]

    assert 60 <= len(slow) <= 140
    assert 2.0 <= min(slow) <= max(slow) < 4.0


def test_everybody_slows_down_as_the_queue_fills() -> None:
    """The factor is 1 on an idle provider, 2 when half full, and 10 at most."""
    queue = SharedQueue(capacity=100)
    factors = [queue.enter() for _ in range(150)]

    assert factors[0] == 1.0
    assert factors[50] == 2.0
    assert factors == sorted(factors)
    assert factors[-1] == pytest.approx(10.0)
    assert (queue.in_flight, queue.peak) == (150, 150)


def test_leaving_the_queue_makes_it_faster_again() -> None:
    """Places are given back."""
    queue = SharedQueue(capacity=10)
    queue.enter()
    queue.enter()

    queue.leave()
    queue.leave()

    assert queue.enter() == 1.0
