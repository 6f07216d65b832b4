"""How fast a server of one's own is that takes turns."""

import pytest

from rushhour.rehearse.slots import slots_of, slots_told
from rushhour.simulator.latency import LatencySpec
from rushhour.simulator.profile_files import load_profile


def test_a_call_waits_for_its_first_token_and_then_for_the_others() -> None:
    """1 s and 40 tokens at 20 a second, all of it twice as slow beside 5 others of 10: 6 s."""
    latency = LatencySpec(median_s=1.0, sigma=0.0, slow_share=0.0, slots=6, capacity=10)

    slots = slots_of(latency, (20, 20))

    assert slots is not None
    assert slots.count == 6
    assert slots.first_s == pytest.approx(2.0)
    assert slots.token_s == pytest.approx(0.1)
    assert slots.work_s(40) == pytest.approx(6.0)


def test_slow_calls_and_paces_of_both_ends_count_by_their_share() -> None:
    """A tenth of the calls begin after 3 s, the others after 1 s; a pace between 10 and 20 takes ln 2 / 10 a token."""
    latency = LatencySpec(median_s=1.0, sigma=0.0, slow_share=0.1, slow_s=(2.0, 4.0), slots=1)

    slots = slots_of(latency, (10, 20))

    assert slots is not None
    assert slots.first_s == pytest.approx(0.9 * 1.0 + 0.1 * 3.0)
    assert slots.token_s == pytest.approx(0.0693147, abs=1e-6)


@pytest.mark.parametrize(
    ("slots", "capacity", "per_s"),
    [(16, 32, 5.974), (64, 128, 22.842), (64, 32, 4.498)],
)
def test_more_slots_need_more_capacity(slots: int, capacity: int, per_s: float) -> None:
    """(0.2551 s + 36 × 0.03244 s) = 1.4228 s alone; × 32/17, × 128/65, and × 10, the most there is."""
    overrides = [f"chat.latency.slots={slots}", f"chat.latency.capacity={capacity}"]
    chat = load_profile("vllm", overrides).chat

    found = slots_of(chat.latency, chat.tokens_per_s)

    assert found is not None
    assert found.count / found.work_s(36) == pytest.approx(per_s, abs=0.002)


def test_who_takes_no_turns_has_no_slots() -> None:
    """A hosted API refuses instead."""
    assert slots_of(LatencySpec(median_s=1.0), (20, 40)) is None


@pytest.mark.parametrize(
    ("slots", "told"), [(1, "1 call at a time, 2.7 s each"), (16, "16 calls at a time, 2.7 s each")]
)
def test_slots_in_words(slots: int, told: str) -> None:
    """As a person says them."""
    assert slots_told(slots, 2.7) == told
