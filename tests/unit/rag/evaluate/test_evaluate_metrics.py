"""Figures that can be worked out by hand, and what must hold for all others."""

from __future__ import annotations

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.rag.evaluate.metrics import METRICS, measure

NAMES = [f"d{n}" for n in range(15)]
rankings = st.lists(st.sampled_from(NAMES), unique=True, max_size=15)
grades = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), min_size=1, max_size=6)


def test_one_relevant_document_at_the_third_place() -> None:
    """Recall is 0 above its place and 1 from it on; MRR is 1/3; nDCG is 1 / log2(3 + 1)."""
    figures = dict(zip(METRICS, measure([["x", "y", "d", "z"]], [{"d": 1}])[0], strict=True))

    assert figures == pytest.approx({"recall@1": 0, "recall@5": 1, "recall@10": 1, "mrr@10": 1 / 3, "ndcg@10": 1 / 2})


def test_several_relevant_documents_with_grades() -> None:
    """Recall counts each; nDCG takes the grade as the gain, over that of the best order."""
    figures = dict(zip(METRICS, measure([["a", "x", "b"]], [{"a": 1, "b": 3, "c": 2}])[0], strict=True))

    ideal = 3 / log2(2) + 2 / log2(3) + 1 / log2(4)
    assert figures["recall@1"] == pytest.approx(1 / 3)
    assert figures["recall@10"] == pytest.approx(2 / 3)
    assert figures["mrr@10"] == 1
    assert figures["ndcg@10"] == pytest.approx((1 / log2(2) + 3 / log2(4)) / ideal)


def test_beyond_the_tenth_place_nothing_counts() -> None:
    """The eleventh is as good as not found."""
    early, late, never = measure([[*NAMES[:9], "d"], [*NAMES[:10], "d"], []], [{"d": 1}] * 3)

    assert early[METRICS.index("mrr@10")] == pytest.approx(0.1)
    assert late.tolist() == never.tolist() == [0] * len(METRICS)


@given(st.lists(st.tuples(rankings, grades), min_size=1, max_size=5))
def test_figures_keep_their_bounds_and_order(asked: list[tuple[list[str], dict[str, int]]]) -> None:
    """All are shares, recall grows with k, and a question's figures do not depend on the others'."""
    figures = measure([ranking for ranking, _ in asked], [relevant for _, relevant in asked])

    assert figures.shape == (len(asked), len(METRICS))
    for row, (ranking, relevant) in zip(figures, asked, strict=True):
        named = dict(zip(METRICS, row, strict=True))
        assert all(0 <= value <= 1 + 1e-9 for value in row)
        assert named["recall@1"] <= named["recall@5"] <= named["recall@10"]
        assert (named["recall@1"] > 0) == (named["mrr@10"] == 1)
        assert (named["recall@10"] > 0) == (named["mrr@10"] > 0) == (named["ndcg@10"] > 0)
        assert row.tolist() == measure([ranking], [relevant])[0].tolist()


@given(st.permutations(NAMES[:10]), st.integers(0, 8))
def test_moving_the_relevant_document_up_never_hurts(ranking: list[str], place: int) -> None:
    """Every figure is monotone in the place of the relevant document."""
    relevant = {ranking[place + 1]: 1}
    better = ranking.copy()
    better[place], better[place + 1] = ranking[place + 1], ranking[place]
    worse, improved = measure([ranking, better], [relevant, relevant])

    assert all(worse <= improved + 1e-9)
