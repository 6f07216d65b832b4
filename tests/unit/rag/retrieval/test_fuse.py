"""Score fusion keeps what ranks throw away."""

from hypothesis import given
from hypothesis import strategies as st

from rushhour.rag.retrieval.fuse import score_fusion

scores = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-1, 50), max_size=8)


def test_agreement_wins() -> None:
    """What both sides find comes before what only one finds."""
    fused = score_fusion({"a": 0.9, "b": 0.8, "c": 0.1}, {"b": 10.0, "d": 9.0})

    assert next(iter(fused)) == "b"


def test_a_clear_lexical_winner_beats_a_narrow_dense_one() -> None:
    """How much better a hit is counts, not only that it is first."""
    fused = score_fusion({"a": 0.71, "b": 0.70, "c": 0.2}, {"b": 20.0, "a": 2.0})

    assert list(fused)[:2] == ["b", "a"]


def test_one_side_alone_keeps_its_order() -> None:
    """Without vectors the ranking is BM25's, and the other way round."""
    assert list(score_fusion({}, {"x": 1.0, "y": 3.0})) == ["y", "x"]
    assert list(score_fusion({"x": 0.1, "y": 0.3}, {})) == ["y", "x"]
    assert score_fusion({}, {}) == {}


@given(scores, scores)
def test_scores_are_fractions_in_order(dense: dict[str, float], lexical: dict[str, float]) -> None:
    """Whatever comes in, each id comes out once, scored between 0 and 1, best first."""
    fused = score_fusion(dense, lexical)

    assert set(fused) == {*dense, *lexical}
    values = list(fused.values())
    assert values == sorted(values, reverse=True)
    assert all(-1e-9 <= value <= 1 + 1e-9 for value in values)
