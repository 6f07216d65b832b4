"""How likely passages are to hold an answer, from absolute figures alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.hops.contract import Passage
from rushhour.rag.answering.confidence import CALIBRATIONS, WORDS_ALONE, Calibration, Confidence, evidence
from rushhour.rag.answering.telling import coverage, known, weights

OSLO = "The capital of Norway is Oslo, which lies at the head of a fjord."
BREAD = "Bread is baked from flour, water, salt and yeast."
LOCAL = "local/bge-small-en-v1.5-int8"
QUESTION = "What is the capital of Norway?"


def passages(*texts: str, cosines: tuple[float | None, ...] = ()) -> list[Passage]:
    """Make passages of some texts."""
    padded = (*cosines, *[None] * len(texts))
    return [Passage(n, f"c{n}", text, "", "s", cosine=padded[n - 1]) for n, text in enumerate(texts, 1)]


def test_an_answer_that_is_there_is_believed_and_one_that_is_not_is_not() -> None:
    """With cosines and without."""
    for judge, cosines in ((Confidence(LOCAL), (0.85,)), (Confidence("other"), ())):
        chance, weak = judge(QUESTION, passages(OSLO, BREAD, cosines=cosines))
        assert chance > 0.9
        assert not weak
    for judge, cosines in ((Confidence(LOCAL), (0.45,)), (Confidence("other"), ())):
        chance, weak = judge(QUESTION, passages(BREAD, OSLO.replace("Norway", "it"), cosines=cosines))
        assert chance < 0.05
        assert weak


def test_the_best_passage_counts() -> None:
    """Where BM25 alone found it, the best cosine of another stands in for its own."""
    assert evidence(QUESTION, passages(OSLO, BREAD, cosines=(0.6, 0.7))).cosine == 0.6
    assert evidence(QUESTION, passages(OSLO, BREAD, cosines=(None, 0.7))).cosine == 0.7
    assert evidence(QUESTION, passages(OSLO, BREAD)).cosine is None
    assert evidence(QUESTION, passages(OSLO)).coverage == 1
    assert evidence(QUESTION, passages(BREAD, OSLO)).coverage == 0
    assert evidence(QUESTION, []).coverage == 0


def test_without_cosines_words_decide() -> None:
    """An answer found without the embedder is judged by the rule for that."""
    found = passages(OSLO)
    assert Confidence(LOCAL)(QUESTION, found) == Confidence("unknown/model")(QUESTION, found)
    assert Confidence(LOCAL)(QUESTION, found)[0] == WORDS_ALONE.chance(0.0, 1.0)


def test_titles_and_headings_are_known_too() -> None:
    """A passage need not repeat what it stands under."""
    headed = [Passage(1, "c", "It is Oslo.", "Norway", "s", heading="The capital")]
    assert evidence(QUESTION, headed).coverage == 1


@pytest.mark.parametrize(("threshold", "weak"), [(0.0, False), (1.0, True)])
def test_the_threshold_is_the_users_own(threshold: float, weak: bool) -> None:
    """0 believes everything, 1 nothing."""
    assert Confidence(LOCAL, threshold)(QUESTION, passages(BREAD, cosines=(0.6,)))[1] is weak


@pytest.mark.parametrize("rule", [WORDS_ALONE, *CALIBRATIONS.values()])
def test_rules_are_monotone_and_tell_the_extremes_apart(rule: Calibration) -> None:
    """More of either figure never lowers the chance; nothing is below the threshold, everything above it."""
    steps = [step / 10 for step in range(11)]
    for cosine in steps:
        chances = [rule.chance(cosine, share) for share in steps]
        assert chances == sorted(chances)
    for share in steps:
        chances = [rule.chance(cosine, share) for cosine in steps]
        assert chances == sorted(chances)
    assert rule.chance(0.3, 0.0) < rule.threshold < 0.2 < rule.chance(0.8, 1.0)


def test_rare_words_and_names_weigh_more() -> None:
    """A word that all passages know tells none of them apart; a name is what a question is about."""
    texts = [known("the tower is old"), known("the tower is tall"), known("a copper tower")]
    weighed = weights("How copper is the tower of Pisa?", texts)
    assert weighed["pisa"] > weighed["copper"] > weighed["tower"]
    assert "how" not in weighed


@settings(max_examples=50)
@given(st.text(max_size=40), st.lists(st.text(max_size=40), max_size=3))
def test_any_text_has_a_coverage(question: str, texts: list[str]) -> None:
    """It is a share, whatever is asked of whatever."""
    sets = [known(text) for text in texts]
    for one in sets:
        assert 0 <= coverage(weights(question, sets), one) <= 1
