"""The rankings one can choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.rag.retrieval.fuse import FUSIONS, reciprocal_rank_fusion

scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1, 50), max_size=8)

DENSE = {"a": 0.9, "b": 0.8, "c": 0.1}
LEXICAL = {"b": 10.0, "d": 9.0}


def test_ranks_are_fused_by_their_reciprocals() -> None:
    """1 / (60 + rank) from each side, scaled so that the first of both has 1."""
    fused = reciprocal_rank_fusion(DENSE, LEXICAL)

    assert list(fused) == ["b", "a", "d", "c"]
    assert fused["b"] == pytest.approx(0.5 * (61 / 62 + 1))
    assert fused["d"] == pytest.approx(0.5 * 61 / 62)
    assert reciprocal_rank_fusion({"x": 2.0}, {"x": 1.0}) == {"x": 1.0}


@pytest.mark.parametrize(("name", "order"), [("fusion", "badc"), ("rrf", "badc"), ("dense", "abc"), ("lexical", "bd")])
def test_each_ranking_has_its_order(name: str, order: str) -> None:
    """One side alone is ranked by its own scores."""
    assert "".join(FUSIONS[name].combine(DENSE, LEXICAL)) == order


@given(scores, scores, st.sampled_from(sorted(FUSIONS)))
def test_a_ranking_holds_its_sides_best_first(dense: dict[str, float], lexical: dict[str, float], name: str) -> None:
    """Every id of the sides that it uses comes out once, the best first."""
    fusion = FUSIONS[name]
    ranked = fusion.combine(dense, lexical)

    assert set(ranked) == {*(dense if fusion.dense else ()), *(lexical if fusion.lexical else ())}
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
