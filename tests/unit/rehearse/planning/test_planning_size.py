"""How a planned peak becomes a rehearsal of a bounded size."""

import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.rehearse.planning.provider import find_provider
from rushhour.rehearse.planning.simulate import PROMPT, Size, overrides_for, size_of
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.walls import walls_of
from rushhour.simulator import load_profile

PROFILES = ("monday", "openai-tier-1", "openai-tier-3", "quantised", "vllm", "ollama")


def _size(traffic: Traffic, profile: str, most: int) -> Size:
    return size_of(traffic, walls_of(traffic, find_provider(profile)), most)


def test_a_small_peak_is_played_as_it_is() -> None:
    """Without those who repeat a question: they reach no provider."""
    assert _size(Traffic(1_000, 5.0, repeats=0.25), "monday", 2_000) == Size(750, 5.0, 1.0)


def test_a_peak_with_room_is_played_in_part() -> None:
    """Nobody waits for a limit, so its first minutes are like all others."""
    assert _size(Traffic(20_000, 1_000.0), "monday", 2_000) == Size(2_000, 100.0, 1.0)


def test_a_peak_beyond_the_limits_is_played_to_scale() -> None:
    """A tenth of the users against a tenth of the limits wait as all of them do."""
    assert _size(Traffic(20_000, 10.0), "monday", 2_000) == Size(2_000, 10.0, 0.1)
    assert _size(Traffic(20_000, 0.0), "monday", 2_000) == Size(2_000, 0.0, 0.1)


@settings(max_examples=40, deadline=None)
@given(
    profile=st.sampled_from(PROFILES),
    users=st.integers(1, 50_000),
    prompt=st.integers(50, 6_000),
    answer=st.integers(1, 2_000),
)
def test_the_played_profile_is_one(profile: str, users: int, prompt: int, answer: int) -> None:
    """Whatever is planned, the changes are TOML that the simulator takes, and no limit falls to nothing."""
    traffic = Traffic(users, 5.0, prompt_tokens=prompt, answer_tokens=answer, max_tokens=max(answer, 512))
    provider = find_provider(profile)
    overrides = overrides_for(traffic, provider, size_of(traffic, walls_of(traffic, provider), 2_000))

    for override in overrides:
        tomllib.loads("value = " + override.partition("=")[2])
    played = load_profile(profile, overrides)
    assert played.chat.rpm >= 1
    assert played.chat.tpm >= 1_000


def test_tokens_stand_to_the_limit_as_planned() -> None:
    """Prompts three times as long as the rehearsed ones meet a third of the tokens a minute."""
    provider = find_provider("monday")
    whole = Size(100, 5.0, 1.0)

    short = load_profile("monday", overrides_for(Traffic(100, 5.0, prompt_tokens=PROMPT), provider, whole))
    long = load_profile("monday", overrides_for(Traffic(100, 5.0, prompt_tokens=3 * PROMPT), provider, whole))

    assert short.chat.tpm == 30_000_000
    assert long.chat.tpm == 10_000_000
    assert long.chat.rpm == 3_000


def test_a_part_of_no_limit_is_none_either() -> None:
    """A small part of the crowd meets no limit that the whole does not."""
    provider, traffic = find_provider("vllm"), Traffic(users=100_000, over_s=5.0, question_tokens=60)

    told = overrides_for(traffic, provider, Size(1_000, 5.0, 0.01))

    for key in ("chat.rpm", "chat.tpm", "embeddings.rpm", "embeddings.tpm"):
        assert f"{key}=1000000000000" in told


def test_what_a_model_may_save_up_is_played() -> None:
    """A model's own burst counts, as its own requests and tokens do."""
    own = 'chat.models={"sudden"={"rpm"=600,"burst_s"=2}}'
    provider = find_provider("monday", "sudden", overrides=(own,))

    told = load_profile("monday", overrides_for(Traffic(100, 5.0), provider, Size(100, 5.0, 1.0)))

    assert told.chat.burst_s == 2
    assert told.chat.rpm == 600
