"""Tokens a character, learned from usage."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.flow.algorithms.ratio import LEAST, MOST, USUAL, TokenRatio


def test_four_characters_a_token_is_the_first_guess() -> None:
    """As OpenAI's limiter takes it."""
    assert TokenRatio().tokens(4000) == 1000


def test_the_estimate_comes_near_what_is_counted() -> None:
    """A dozen prompts in another language, and the next one is estimated within two per cent."""
    ratio = TokenRatio()
    for _ in range(12):
        ratio.learn(8_000, 5_600)
    assert ratio.tokens(10_000) == pytest.approx(7_000, rel=0.02)


def test_a_long_prompt_weighs_more() -> None:
    """A greeting of twenty characters does not outweigh a document."""
    ratio = TokenRatio()
    ratio.learn(100_000, 50_000)
    for _ in range(20):
        ratio.learn(20, 40)
    assert ratio.per_character == pytest.approx(0.5, abs=0.02)


def test_old_prompts_are_forgotten() -> None:
    """What people ask changes."""
    ratio = TokenRatio()
    for _ in range(100):
        ratio.learn(10_000, 10_000)
    for _ in range(100):
        ratio.learn(10_000, 2_500)
    assert ratio.per_character == pytest.approx(0.25, abs=0.05)


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_no_count_leads_to_nonsense(counts: list[tuple[float, float]]) -> None:
    """Zero, negative, infinite or absurd counts leave the estimate within what tokenizers do."""
    ratio = TokenRatio()
    for characters, tokens in counts:
        ratio.learn(characters, tokens)
    assert LEAST * 0.999 <= ratio.per_character <= MOST * 1.001


@pytest.mark.parametrize("usual", [0.0, -1.0, math.nan, 100.0])
def test_an_absurd_first_guess_is_refused(usual: float) -> None:
    """The message names the value and the bounds."""
    with pytest.raises(ValueError, match="must be from"):
        TokenRatio(usual)
    assert USUAL == 0.25
