"""What would move the wall, what it takes to be done in time, and what it costs."""

import pytest

from rushhour.rehearse.planning.cost import cost_of
from rushhour.rehearse.planning.levers import Lever, levers_of
from rushhour.rehearse.planning.provider import Prices, Provider, find_provider
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import walls_of
from rushhour.rehearse.planning.within import within_of

RUSH = Traffic(users=1_000, over_s=5.0)


def slots_of_ten_seconds(slots: int) -> Provider:
    """Return a server that takes 5 s to the first token, and as long for the other 250, however many it works on."""
    paces = ["chat.latency.median_s=5", "chat.latency.sigma=0", "chat.tokens_per_s=[50,50]"]
    return find_provider(
        "vllm", overrides=[*paces, f"chat.latency.slots={slots}", "chat.latency.capacity=1_000_000_000"]
    )


def _levers(profile: str, **traits: float) -> list[Lever]:
    return levers_of(RUSH.changed(**traits), find_provider(profile))


def test_the_best_change_comes_first_and_replicas_last() -> None:
    """Replicas share one limit, so they move nothing, and the plan says so."""
    levers = _levers("openai-tier-1")

    assert [lever.floor_s for lever in levers] == sorted(lever.floor_s for lever in levers)
    assert levers[0].kind == "tier"
    assert (levers[-1].kind, levers[-1].saves_s) == ("replicas", 0.0)


def test_each_floor_is_that_of_the_changed_traffic() -> None:
    """Nothing is estimated: the whole arithmetic is done again."""
    half = next(lever for lever in _levers("openai-tier-1") if "1,500" in lever.change)

    assert half.floor_s == walls_of(RUSH.changed(prompt_tokens=1_500), find_provider("openai-tier-1")).floor_s
    assert half.saves_s == pytest.approx(450.0)


def test_a_smaller_ceiling_helps_where_it_is_charged() -> None:
    """Not below a longer prompt: then it is not listed."""
    charged = next(
        lever for lever in _levers("openai-tier-1", prompt_tokens=400, max_tokens=4_000) if lever.kind == "max_tokens"
    )

    assert charged.saves_s > 0.8 * 1_000
    assert "the prompt or max_tokens, whichever is more" in charged.how
    assert "max_tokens" not in {lever.kind for lever in _levers("openai-tier-1")}


def test_a_second_server_stands_beside_ones_own() -> None:
    """Where the provider has no limits but slots."""
    kinds = {lever.kind: lever for lever in _levers("vllm")}

    assert "model" not in kinds
    assert kinds["server"].floor_s == pytest.approx(walls_of(RUSH, find_provider("vllm")).floor_s / 2, rel=0.1)


def test_a_change_that_betters_nothing_is_left_out() -> None:
    """Where requests are the wall, shorter prompts do nothing; and hosted tiers with a higher floor make it worse."""
    levers = _levers("monday")

    assert walls_of(RUSH, find_provider("openai-tier-1")).floor_s > 20.0
    assert [lever.kind for lever in levers] == ["model", "repeats", "repeats", "replicas"]
    assert all(lever.saves_s > 0 for lever in levers[:-1])


def test_a_change_that_is_no_better_than_a_smaller_one_is_left_out() -> None:
    """Where prompts are the wall until requests are, the longer of two that lead there is enough."""
    provider = find_provider("monday", overrides=["chat.tpm=8_000_000"])

    assert walls_of(RUSH, provider).first.key == "chat tokens"
    assert [lever.change for lever in levers_of(RUSH, provider) if lever.kind == "prompt"] == [
        "prompts of 2,250 tokens instead of 3,000"
    ]


def test_without_a_wall_what_leaves_more_room_is_listed() -> None:
    """Every change that is listed takes a smaller part of the tightest limit."""
    calm = RUSH.changed(over_s=100.0)
    provider = find_provider("monday")
    (*changes, replicas) = levers_of(calm, provider)

    assert {lever.kind for lever in changes} == {"model", "repeats"}
    assert all((lever.used or 0.0) < (replicas.used or 0.0) for lever in changes)


def test_what_it_takes_to_be_done_in_time() -> None:
    """Each way, applied, does it; the smallest of its kind."""
    provider = find_provider("monday")
    ways = " · ".join(within_of(RUSH, provider, 10.0).ways)

    assert "6,000 chat requests a minute instead of 3,000" in ways
    assert "50% of the questions repeated" in ways
    assert "500 users instead of 1,000" in ways
    assert walls_of(RUSH.changed(repeats=0.5), provider).floor_s <= 10.0 + 1e-6


def test_how_many_slots_it_takes() -> None:
    """40 calls of 10 s on 10 slots: the last is begun after 30 s, and its answer counts for one more."""
    provider = slots_of_ten_seconds(4)
    ways = within_of(Traffic(users=40, over_s=0.0), provider, 31.5).ways

    assert "10 calls at a time instead of 4" in ways
    assert walls_of(Traffic(users=40, over_s=0.0), slots_of_ten_seconds(10)).floor_s == pytest.approx(31.0)


def test_in_time_already() -> None:
    """Nothing has to change."""
    within = within_of(RUSH, find_provider("monday"), 30.0)

    assert (within.kept, within.ways) == (True, ())


def test_a_long_peak_is_judged_by_its_longest_wait() -> None:
    """Nobody is done before the last user came, so the time counts from then."""
    steady = Traffic(users=12_000, over_s=300.0)

    assert within_of(steady, find_provider("quantised"), 10.0).kept
    within = within_of(Traffic(users=18_000, over_s=300.0), find_provider("monday"), 10.0)
    assert (within.kept, within.waits) == (False, True)


def test_a_days_cost() -> None:
    """Each question that nobody asked before costs an embedding, a prompt, partly cached, and an answer."""
    traffic = Traffic(
        users=100, over_s=5, per_day=10_000, prompt_tokens=2_000, cached_tokens=500, answer_tokens=300, repeats=0.2
    )

    cost = cost_of(traffic, Prices(chat_in=0.15, chat_cached_in=0.075, chat_out=0.6, embed=0.02))

    assert cost.chat_in_usd == pytest.approx(8_000 * 1_500 * 0.15e-6)
    assert cost.chat_cached_usd == pytest.approx(8_000 * 500 * 0.075e-6)
    assert cost.chat_out_usd == pytest.approx(8_000 * 300 * 0.6e-6)
    assert cost.embeddings_usd == pytest.approx(8_000 * 25 * 0.02e-6)
    assert cost.total_usd is not None
    assert cost.every_one_usd == pytest.approx(cost.total_usd / 0.8)


def test_an_unknown_price_is_asked_for() -> None:
    """And the sum with it is not told."""
    cost = cost_of(RUSH, Prices(chat_in=0.15, chat_cached_in=0.15))

    assert (cost.total_usd, cost.unknown) == (None, ["--price-embed", "--price-out"])
    assert cost.chat_in_usd == pytest.approx(0.45)
