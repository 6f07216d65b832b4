"""The last queue is asked first (rule 4)."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import WouldMissDeadline
from rushhour.flow.admission import CAUTION, SLIP, Admission
from rushhour.flow.algorithms.recent import Recent
from rushhour.flow.call import Call
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.pace import Pace

ONE = Cost()


def pacer(rpm: float) -> Pace:
    """Return a pacer whose burst is spent."""
    quota = MemoryQuota(Limits(rpm, None, 1.0, 1.0))
    quota.take(Cost(rpm / 60), 0.0)
    return Pace(quota, rng=random.Random(1))


class Line:
    """A queue with a wait of its own, and one second more for each promise."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def predict(self, cost: Cost, call: Call, now: float) -> float:
        """Return the wait."""
        return self.seconds

    def advise(self, wait: float, cost: Cost, call: Call, now: float) -> float:
        """Send away for just as long."""
        return wait

    @contextmanager
    def promise(self, cost: Cost, call: Call) -> Iterator[None]:
        """Count it."""
        self.seconds += 1
        yield
        self.seconds -= 1


async def test_who_would_come_too_late_is_refused_with_an_honest_time() -> None:
    """At one call a second, ten promised seconds are full for whoever has ten."""
    admission = Admission(pacer(60))
    with ExitStack() as promised:
        for _ in range(10):
            promised.enter_context(admission.enter(ONE, Call(deadline=10.5)))
        with pytest.raises(WouldMissDeadline, match=r"deadline is in 10\.5 s") as refused:
            admission.enter(ONE, Call(deadline=10.5))

    assert refused.value.retry_after is not None
    assert 11 <= refused.value.retry_after <= 11 * 1.1
    with admission.enter(ONE, Call(deadline=10.5)):
        pass  # the others left without joining: there is room again


async def test_a_promise_is_kept_on_every_way_out() -> None:
    """Whoever fails or is cancelled on the way to the queue does not count any more."""
    pace = pacer(60)
    admission = Admission(pace)

    async def prepare(seconds: float) -> None:
        with admission.enter(ONE, Call()):
            await asyncio.sleep(seconds)
            raise ConnectionError

    first, second = asyncio.ensure_future(prepare(1)), asyncio.ensure_future(prepare(60))
    await asyncio.sleep(0.5)
    assert pace.predict(ONE, Call(), 0.0) == pytest.approx(3)
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)

    assert pace.predict(ONE, Call(), 0.0) == pytest.approx(1)


async def test_the_times_before_and_after_the_queue_count() -> None:
    """What is learned is believed: slow retrieval and a slow model leave less of the deadline for the queue."""
    admission = Admission(Line(5.0))
    admission.enter(ONE, Call(deadline=SLIP * 5))

    admission.prepared(1.0)
    admission.answered(2.0)

    admission.enter(ONE, Call(deadline=SLIP * 5 + CAUTION * 3))
    with pytest.raises(WouldMissDeadline, match=r"about 9\.8 s"):
        admission.enter(ONE, Call(deadline=SLIP * 5 + CAUTION * 3 - 0.1))


async def test_without_a_queue_everybody_is_let_in() -> None:
    """However slow the last answers were: else nobody would be served, and nothing learned."""
    admission = Admission(Pace(MemoryQuota(Limits(None, None, 60.0, 1.0))))
    admission.prepared(100.0)
    admission.answered(100.0)

    with admission.enter(ONE, Call(deadline=1)):
        pass


async def test_a_second_queue_takes_what_the_first_cannot() -> None:
    """The promise counts where the call will go; who fits nowhere hears of the shorter wait."""
    first, second = Line(10.0), Line(1.0)
    admission = Admission(first, second)
    call = Call(deadline=SLIP * 3)
    slow, quick = first.predict(ONE, call, 0.0), second.predict(ONE, call, 0.0)

    with admission.enter(ONE, call), admission.enter(ONE, call), admission.enter(ONE, call):
        assert first.predict(ONE, call, 0.0) == slow > 3
        wait = second.predict(ONE, call, 0.0)
        assert wait == pytest.approx(quick + 3)
        with pytest.raises(WouldMissDeadline) as refused:
            admission.enter(ONE, call)
    assert refused.value.retry_after is not None
    assert wait <= refused.value.retry_after <= 1.1 * wait


def test_no_queue_is_a_mistake() -> None:
    """There is nothing to ask."""
    with pytest.raises(ValueError, match="at least one queue"):
        Admission()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_a_recent_mean_lies_between_the_samples(samples: list[float]) -> None:
    """No sample leads it beyond what was seen."""
    recent = Recent()
    for sample in samples:
        recent.add(sample)
    assert min(samples) - 1e-6 <= recent.value <= max(samples) + 1e-6
