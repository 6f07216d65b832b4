"""Which limit is the wall, by arithmetic."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import InvalidRequest
from rushhour.rehearse.floor import CallTokens, Limits, floor_of
from rushhour.rehearse.planning.described import check_call
from rushhour.rehearse.planning.provider import Prices, find_provider, tiers_above
from rushhour.rehearse.planning.repeats import zipf_repeats
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import Walls, walls_of
from rushhour.rehearse.scenario_file import find_scenario


def _walls(profile: str = "monday", users: int = 1_000, over_s: float = 5.0, **traits: float) -> Walls:
    return walls_of(Traffic(users=users, over_s=over_s).changed(**traits), find_provider(profile))


def test_a_thousand_users_on_monday_take_twenty_seconds() -> None:
    """The figure that the rehearsal of the same name is compared with; requests are the wall."""
    walls = _walls()

    assert (walls.first.key, walls.floor_s, walls.holds) == ("chat requests", 20.0, True)
    assert find_scenario("monday").limits.rpm == 3_000


def test_tokens_are_the_wall_of_a_small_tier() -> None:
    """200,000 tokens a minute, of which a minute's worth is saved up but for the last answer's second."""
    walls = _walls("openai-tier-1")

    assert walls.first.key == "chat tokens"
    assert walls.floor_s == pytest.approx(1_000 * 3_000 / (200_000 / 60) - 59)


def test_max_tokens_is_charged_where_it_is_more_than_the_prompt() -> None:
    """The rule of the largest provider: a generous ceiling costs as much as a long prompt."""
    short = _walls("openai-tier-1", prompt_tokens=500, max_tokens=500)
    generous = _walls("openai-tier-1", prompt_tokens=500, max_tokens=4_000)

    assert generous.floor_s + 59 == pytest.approx(8 * (short.floor_s + 59))


def test_users_who_come_slowly_meet_no_wall() -> None:
    """Then the floor is their own arrivals, and the tightest limit says how much of it is used."""
    walls = _walls(users=1_000, over_s=100.0)

    assert (walls.holds, walls.floor_s) == (False, 100.0)
    assert walls.first.used == pytest.approx(0.2)


def test_batches_make_embedding_no_wall() -> None:
    """Questions that wait at the same moment share one call: 3,000 calls a minute carry 256 times as many of them."""
    wall = next(wall for wall in _walls().every if wall.key == "embedding requests")

    assert wall.allows_per_s == 3_000 / 60 * 256


def test_a_server_of_ones_own_is_walled_by_its_slots() -> None:
    """It has no limits, but takes its time."""
    walls = _walls("vllm", users=300)

    assert walls.first.key == "chat slots"
    assert "16 calls at a time" in walls.first.limit


@pytest.mark.parametrize(
    ("users", "over_s", "floor_s"), [(40, 0.0, 91.0), (40, 30.0, 91.0), (14, 30.0, 30.0), (4, 0.0, 1.0), (2, 0.0, 0.0)]
)
def test_slots_are_free_at_the_start(users: int, over_s: float, floor_s: float) -> None:
    """Four calls of 10 s at a time: of 40 the last is begun after 90 s, and as everywhere its answer counts for one."""
    overrides = [
        "chat.latency.median_s=5", "chat.latency.sigma=0", "chat.tokens_per_s=[50,50]",
        "chat.latency.slots=4", "chat.latency.capacity=1_000_000_000",
    ]  # fmt: skip
    walls = walls_of(Traffic(users=users, over_s=over_s), find_provider("vllm", overrides=overrides))
    (slots,) = (wall for wall in walls.every if wall.key == "chat slots")

    assert slots.allows_per_s == pytest.approx(0.4)
    assert slots.floor_s == pytest.approx(floor_s, abs=1e-6)


def test_fewer_users_than_slots_meet_no_wall() -> None:
    """Each of them has a slot at once."""
    assert not _walls("vllm", users=4).holds
    assert not _walls("vllm", users=16).holds
    assert _walls("vllm", users=32).holds


def test_growth_is_a_wall_of_its_own() -> None:
    """A million input tokens in the first minute, hardly more in the next: three million take two minutes or so."""
    walls = _walls("openai-tier-5")

    assert walls.first.key == "chat ramp"
    assert 60 < walls.floor_s <= 120


@settings(max_examples=60, deadline=None)
@given(
    users=st.integers(1, 400),
    over_s=st.floats(0.5, 30),
    rpm=st.integers(60, 20_000),
    burst_s=st.sampled_from([1, 5, 60]),
)
def test_the_floor_is_that_of_a_rehearsal(users: int, over_s: float, rpm: int, burst_s: int) -> None:
    """What is computed at once here is what the rehearsal finds call by call, but for the grain of single calls."""
    provider = find_provider("monday", overrides=[f"chat.rpm={rpm}", f"chat.burst_s={burst_s}"])
    walls = walls_of(Traffic(users=users, over_s=over_s), provider)
    planned = next(wall.floor_s for wall in walls.every if wall.key == "chat requests")

    arrivals = [over_s * user / users for user in range(users)]
    rehearsed = floor_of(arrivals, over_s, Limits(rpm, 1e12, burst_s), CallTokens(1.0, 1.0)).seconds

    grain = 60 / rpm + over_s / users
    assert planned == pytest.approx(rehearsed, abs=2 * grain + 1e-6)


@pytest.mark.parametrize(("users", "over_s"), [(10, 0.0), (300, 5.0), (1_500, 60.0)])
def test_the_floor_of_slots_is_that_of_a_rehearsal(users: int, over_s: float) -> None:
    """Both go by one formula for the time of a call."""
    provider = find_provider("vllm")
    walls = walls_of(Traffic(users=users, over_s=over_s, answer_tokens=36), provider)
    planned = next(wall for wall in walls.every if wall.key == "chat slots")

    arrivals = [over_s * user / users for user in range(users)]
    limits = Limits(provider.chat.rpm, provider.chat.tpm, 60.0, provider.chat.slots)
    rehearsed = floor_of(arrivals, over_s, limits, CallTokens(1_000, 36))

    assert rehearsed.limit.calls_per_s == planned.allows_per_s
    assert planned.floor_s == pytest.approx(rehearsed.seconds, abs=1.0)


def test_no_limit_is_no_number() -> None:
    """What nobody counts up to is said to be no limit, and what is charged against it is left out."""
    says = {wall.key: wall.limit for wall in _walls("vllm").every}

    assert {says[key] for key in ("chat requests", "chat tokens", "embedding requests", "embedding tokens")} == {
        "no limit"
    }
    assert _walls("monday").first.limit == "3,000 a minute"


def test_repeats_reach_no_provider() -> None:
    """A third of the questions repeated is a third of the floor less."""
    assert _walls(repeats=0.25).floor_s == pytest.approx(15.0)


@pytest.mark.parametrize(("asked", "different"), [(1_000, 1), (1_000, 250), (10_000, 10_000), (1, 50)])
def test_popular_questions_repeat(asked: int, different: int) -> None:
    """No fewer than what must repeat because there are not enough questions, and less than all."""
    share = zipf_repeats(asked, different, 1.0)

    assert max(1 - different / asked, 0) <= share + 1e-9 < 1


def test_even_questions_repeat_as_coupons_do() -> None:
    """With a vanishing exponent, 100 draws from 100 questions leave 1/e of them unasked."""
    assert zipf_repeats(100, 100, 1e-9) == pytest.approx(0.99**100, abs=1e-3)


@pytest.mark.parametrize(
    ("profile", "traits", "words"),
    [
        ("openai-tier-1", {"prompt_tokens": 300_000}, "charged 300,000 tokens and openai-tier-1 admits 200,000"),
        ("ollama", {"prompt_tokens": 8_000}, "do not fit into the 8,192 tokens of ollama"),
    ],
)
def test_a_call_that_can_never_pass(profile: str, traits: dict[str, float], words: str) -> None:
    """Told before anything is computed for it."""
    with pytest.raises(InvalidRequest, match=words):
        check_call(Traffic(users=1, over_s=0).changed(**traits), find_provider(profile))


def test_an_unknown_profile_is_corrected() -> None:
    """With the nearest name there is."""
    with pytest.raises(InvalidRequest, match="Did you mean openai-tier-3"):
        find_provider("openai-teir-3")


def test_a_model_has_limits_and_prices_of_its_own() -> None:
    """Those of the profile's list; others have the surface's."""
    mini = find_provider("openai-tier-1", "gpt-5-mini")

    assert (mini.chat.tpm, mini.chat.rpm, mini.prices.chat_out) == (500_000, 500, 2.0)
    assert find_provider("openai-tier-1", "whatever").chat.tpm == 200_000


def test_prices_that_a_profile_does_not_state_are_unknown() -> None:
    """The simulator has defaults; a plan makes nothing up. What is given outranks the profile."""
    assert find_provider("quantised").prices == Prices()
    assert find_provider("quantised", prices=Prices(chat_in=1.0)).prices.chat_cached_in == 1.0
    assert find_provider("monday", prices=Prices(chat_in=9.0)).prices.chat_in == 9.0
    assert find_provider("quantised", overrides=["chat.price_in=0.4"]).prices.chat_in == 0.4


def test_tiers_above() -> None:
    """The rest of the family; from elsewhere, all hosted tiers."""
    assert [one.name for one in tiers_above(find_provider("openai-tier-4"))] == ["openai-tier-5"]
    assert len(tiers_above(find_provider("monday"))) == 5
