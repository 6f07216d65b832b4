"""Fair turns: floods wait behind themselves, deadlines order a tenant, background is never starved."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.flow.algorithms.fair_queue import Entry, FairQueue


def entry(tenant: str, *, deadline: float = math.inf, cost: float = 1.0, lane: int = 0) -> Entry[str]:
    """Make an entry whose item is its tenant's name."""
    return Entry(tenant, tenant, deadline, cost, lane)


def drain(queue: FairQueue[str], count: int | None = None) -> list[str]:
    """Serve `count` entries, or all."""
    return [queue.pop().item for _ in range(len(queue) if count is None else count)]


def test_a_flood_waits_behind_itself() -> None:
    """Nine hundred calls of one tenant do not delay ten of another by more than ten turns."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(900):
        queue.push(entry("flood"))
    for _ in range(10):
        queue.push(entry("small"))

    assert Counter(drain(queue, 21))["small"] == 10


def test_weights_divide_the_turns() -> None:
    """A tenant of weight three is served three times as often."""
    queue: FairQueue[str] = FairQueue(weights={"big": 3.0})
    for _ in range(100):
        queue.push(entry("big"))
        queue.push(entry("small"))

    served = Counter(drain(queue, 80))

    assert served["big"] == pytest.approx(60, abs=2)


def test_cost_counts_not_calls() -> None:
    """A tenant whose calls cost ten times as much gets a tenth of the turns."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push(entry("heavy", cost=10.0))
        queue.push(entry("light", cost=1.0))

    served = Counter(drain(queue, 55))

    assert served["heavy"] == pytest.approx(5, abs=1)


def test_earliest_deadline_first_within_a_tenant() -> None:
    """Whoever must be answered sooner goes sooner."""
    queue: FairQueue[str] = FairQueue()
    for item, deadline in (("late", 30.0), ("soon", 10.0), ("middle", 20.0)):
        queue.push(Entry(item, "acme", deadline, 1.0, 0))

    assert drain(queue) == ["soon", "middle", "late"]


def test_background_gets_its_share_and_no_more() -> None:
    """While both lanes wait, a tenth of the cost served is background work."""
    queue: FairQueue[str] = FairQueue(background_share=0.1)
    for _ in range(200):
        queue.push(entry("person"))
        queue.push(entry("ingestion", lane=1))

    assert Counter(drain(queue, 100))["ingestion"] == pytest.approx(10, abs=1)


def test_an_idle_background_lane_saves_up_nothing() -> None:
    """Hours of interactive work do not earn ingestion a burst."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(100):
        queue.push(entry("person"))
    drain(queue)
    for _ in range(10):
        queue.push(entry("person"))
        queue.push(entry("ingestion", lane=1))

    assert drain(queue, 5) == ["person"] * 5


def test_who_left_is_not_served() -> None:
    """A removed entry disappears from the order, the length and the backlog; leaving twice is no error."""
    queue: FairQueue[str] = FairQueue()
    gone = entry("gone")
    queue.push(gone)
    queue.push(entry("stays"))
    queue.remove(gone)
    queue.remove(gone)

    assert len(queue) == 1
    assert queue.ahead_of("new", 1.0, 0) == 1.0
    assert drain(queue) == ["stays"]


def test_ahead_of_knows_that_turns_are_fair() -> None:
    """A newcomer is not told to wait for the whole flood, only for its fair share of it."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(900):
        queue.push(entry("flood"))

    assert queue.ahead_of("small", 1.0, 0) == 1.0
    assert queue.ahead_of("flood", 1.0, 0) == 900.0


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.floats(0.0, 5.0), st.integers(0, 1), st.booleans(), st.booleans()),
        max_size=120,
    )
)
def test_everyone_is_served_exactly_once(arrivals: list[tuple[str, float, int, bool, bool]]) -> None:
    """Whatever comes and leaves in whatever order, each entry that stays is served once, and none that left."""
    queue: FairQueue[str] = FairQueue()
    staying, served = [], []
    for tenant, cost, lane, leaves, queue.newest_first in arrivals:
        one = Entry(tenant, tenant, math.inf, cost, lane)
        queue.push(one)
        if leaves:
            queue.remove(one)
        else:
            staying.append(one)
        if len(queue) > 5:
            served.append(queue.pop())
    served += [queue.pop() for _ in range(len(queue))]

    assert sorted(map(id, served)) == sorted(map(id, staying))
    assert queue.peek() is None
    with pytest.raises(IndexError):
        queue.pop()


@given(st.lists(st.floats(0.1, 4.0), min_size=20, max_size=60), st.lists(st.floats(0.1, 4.0), min_size=20, max_size=60))
def test_two_backlogged_tenants_never_drift_apart(first: list[float], second: list[float]) -> None:
    """While both wait, what they were served differs by at most one call of each (Goyal et al., theorem 1)."""
    queue: FairQueue[str] = FairQueue()
    for cost in first:
        queue.push(entry("a", cost=cost))
    for cost in second:
        queue.push(entry("b", cost=cost))
    got = {"a": 0.0, "b": 0.0}
    left = {"a": len(first), "b": len(second)}

    while left["a"] and left["b"]:
        one = queue.pop()
        got[one.item] += one.cost
        left[one.item] -= 1
        assert abs(got["a"] - got["b"]) <= max(first) + max(second) + 1e-9


def test_newest_first_while_the_flag_is_set() -> None:
    """Within a tenant the last to come goes first; without the flag deadlines decide again, for the same entries."""
    queue: FairQueue[str] = FairQueue()
    for item, deadline in (("a", 10.0), ("b", 40.0), ("c", 20.0), ("d", 30.0)):
        queue.push(Entry(item, "acme", deadline, 1.0, 0))

    queue.newest_first = True
    assert drain(queue, 2) == ["d", "c"]

    queue.newest_first = False
    queue.push(Entry("e", "acme", 5.0, 1.0, 0))
    assert drain(queue) == ["e", "a", "b"]


def test_newest_first_leaves_turns_fair() -> None:
    """A flood's newest calls are still only every second one."""
    queue: FairQueue[str] = FairQueue()
    queue.newest_first = True
    for _ in range(900):
        queue.push(entry("flood"))
    for _ in range(10):
        queue.push(entry("small"))

    assert Counter(drain(queue, 21))["small"] == 10


def test_newest_first_a_newcomer_is_told_of_others_only() -> None:
    """Its own tenant's calls wait behind it."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(900):
        queue.push(entry("acme"))
        queue.push(entry("other"))

    queue.newest_first = True

    assert queue.ahead_of("acme", 1.0, 0) == 1.0
    assert queue.ahead_of("third", 1.0, 0) == 2.0


@pytest.mark.parametrize("newest_first", [False, True])
def test_turns_are_fair_where_nothing_has_a_price(newest_first: bool) -> None:
    """Without a rate limit every cost is zero; each call counts as one then."""
    queue: FairQueue[str] = FairQueue(weights={"big": 3.0})
    queue.newest_first = newest_first
    for _ in range(100):
        for tenant in ("a flood", "big", "small"):
            queue.push(entry(tenant, cost=0.0))

    served = Counter(drain(queue, 100))

    assert served["big"] == pytest.approx(60, abs=2)
    assert served["a flood"] == pytest.approx(served["small"], abs=1)


def test_lanes_keep_their_order_where_nothing_has_a_price() -> None:
    """People go before ingestion, which gets its tenth, also without costs."""
    queue: FairQueue[str] = FairQueue(background_share=0.1)
    for _ in range(200):
        queue.push(entry("person", cost=0.0))
        queue.push(entry("ingestion", cost=0.0, lane=1))

    served = drain(queue, 100)

    assert served[0] == "person"
    assert Counter(served)["ingestion"] == pytest.approx(10, abs=1)


def test_leaving_and_coming_back_does_not_jump_the_turn() -> None:
    """A tenant that was served much does not become a newcomer by having nobody in the queue for a moment."""
    queue: FairQueue[str] = FairQueue()
    queue.push(entry("greedy", cost=100.0))
    for _ in range(20):
        queue.push(entry("modest"))
    assert drain(queue, 1) == ["greedy"]

    for _ in range(5):
        again = entry("greedy", cost=1.0)
        queue.push(again)
        queue.remove(again)
        queue.push(entry("greedy", cost=1.0))

    assert drain(queue, 20) == ["modest"] * 20


def test_a_newcomer_has_no_claim_on_the_past() -> None:
    """Whoever comes after another was served a hundred times shares from now on, and catches up nothing."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(200):
        queue.push(entry("old"))
    drain(queue, 100)
    for _ in range(100):
        queue.push(entry("new"))

    assert Counter(drain(queue, 20))["new"] == pytest.approx(10, abs=1)


@pytest.mark.parametrize("newest_first", [False, True])
def test_sweeping_out_the_dead_keeps_the_order(newest_first: bool) -> None:
    """After nine of ten have left, the others come in the same order as if these had never been there."""
    queue: FairQueue[str] = FairQueue()
    queue.newest_first = newest_first
    entries = [Entry(str(n), "acme", float(n * 7 % 300), 1.0, 0) for n in range(300)]
    for one in entries:
        queue.push(one)
    for n, one in enumerate(entries):
        if n % 10:
            queue.remove(one)

    staying = entries[::10]
    wanted = staying[::-1] if newest_first else sorted(staying, key=lambda one: one.deadline)
    assert drain(queue) == [one.item for one in wanted]


def held(queue: FairQueue[str]) -> int:
    """Count everything that the queue still has a reference to."""
    lanes = queue._lanes
    entries = sum(
        len(turn.by_deadline) + len(turn.by_arrival)
        for lane in lanes
        for turn in [*lane._turns.values(), *lane._rotation]
    )
    return entries + sum(len(lane._turns) + len(lane._rotation) for lane in lanes)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("tenants", [1, 100_000])
def test_who_left_is_not_remembered(newest_first: bool, tenants: int) -> None:
    """While nobody can go, ten thousand callers come and give up, of one tenant or each of his own: no memory grows."""
    queue: FairQueue[str] = FairQueue()
    queue.newest_first = newest_first
    queue.push(entry("patient"))
    for n in range(10_000):
        leaving = entry(f"tenant {n % tenants}")
        queue.push(leaving)
        queue.remove(leaving)

    assert held(queue) < 500
    assert drain(queue) == ["patient"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_who_was_served_is_not_remembered(newest_first: bool) -> None:
    """A queue that is never empty for days holds only those who wait."""
    queue: FairQueue[str] = FairQueue()
    queue.newest_first = newest_first
    for n in range(10_000):
        queue.push(entry(f"tenant {n % 5}"))
        if n >= 20:
            queue.pop()

    assert len(queue) == 20
    assert held(queue) < 1000


@pytest.mark.parametrize(("cost", "deadline"), [(-1.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)])
def test_what_turns_cannot_be_made_of_is_refused(cost: float, deadline: float) -> None:
    """A cost below zero or without end, a deadline that is no number: named, and the queue is as it was."""
    queue: FairQueue[str] = FairQueue()

    with pytest.raises(ValueError, match="of tenant 'acme' has cost"):
        queue.push(entry("acme", cost=cost, deadline=deadline))
    assert len(queue) == 0
    assert queue.peek() is None


@pytest.mark.parametrize("weight", [0.0, -1.0, math.inf, math.nan])
def test_impossible_weights_are_refused(weight: float) -> None:
    """A weight is a positive number."""
    with pytest.raises(ValueError, match="weight of tenant 'acme'"):
        FairQueue(weights={"acme": weight})


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_impossible_shares_are_refused(share: float) -> None:
    """The background share is a fraction below one."""
    with pytest.raises(ValueError, match="background_share"):
        FairQueue(background_share=share)
