"""Exact search stays exact through any order of writes and deletions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.simulator.filters import FilterError, check, matches
from rushhour.simulator.namespaces import Metric, Namespace, Record

_steps = st.lists(st.tuples(st.sampled_from(["put", "drop", "change"]), st.integers(0, 12)), max_size=60)


@given(steps=_steps, seed=st.integers(0, 1_000))
def test_search_agrees_with_a_plain_dictionary(steps: list[tuple[str, int]], seed: int) -> None:
    """After any history the namespace holds what a dictionary would, and finds the nearest of it."""
    draws = np.random.default_rng(seed)
    namespace, kept = Namespace(4, freshness_s=0, stats_lag_s=0), {}
    for kind, number in steps:
        name = f"id{number}"
        values = draws.normal(size=4).astype(np.float32)
        if kind == "put":
            kept[name] = values
            namespace.upsert([Record(name, values, size=number)], now=0.0)
        elif kind == "change":
            kept.update({name: values} if name in kept else {})
            namespace.update(name, None, values, {}, now=0.0)
        else:
            kept.pop(name, None)
            namespace.delete([name], None, now=0.0)
    asked = draws.normal(size=4).astype(np.float32)

    found = namespace.query(asked, 3, None, now=0.0)

    cosines = {name: float(v @ asked / np.linalg.norm(v) / np.linalg.norm(asked)) for name, v in kept.items()}
    assert [hit.record.id for hit in found] == sorted(cosines, key=cosines.__getitem__, reverse=True)[:3]
    assert [hit.score for hit in found] == pytest.approx(sorted(cosines.values(), reverse=True)[:3], abs=1e-5)
    assert namespace.count(now=0.0) == len(kept)
    assert namespace.size(now=0.0) == sum(int(name[2:]) for name in kept)


@pytest.mark.parametrize(
    ("metric", "order", "best"), [("cosine", "abc", 1.0), ("dotproduct", "bca", 8.0), ("euclidean", "acb", 1.0)]
)
def test_each_metric_has_its_own_order(metric: Metric, order: str, best: float) -> None:
    """Cosine ignores length, the dot product rewards it, and the squared distance is least for the nearest."""
    namespace = Namespace(2, 0, 0, metric)
    stored = {"a": [1.0, 0.0], "b": [4.0, 1.0], "c": [2.0, 1.0]}
    namespace.upsert([Record(name, np.array(values, np.float32)) for name, values in stored.items()], now=0.0)

    found = namespace.query(np.array([2.0, 0.0], np.float32), 3, None, now=0.0)

    assert "".join(hit.record.id for hit in found) == order
    assert found[0].score == pytest.approx(best)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({}, True),
        ({"genre": "drama"}, True),
        ({"genre": {"$ne": "drama"}}, False),
        ({"tags": "a"}, True),
        ({"year": {"$gte": 2000, "$lt": 2010}}, True),
        ({"year": {"$gt": 2005}}, False),
        ({"year": {"$lte": 2004}}, False),
        ({"genre": {"$nin": ["comedy"]}}, True),
        ({"missing": {"$exists": False}}, True),
        ({"missing": {"$gt": 1}}, False),
        ({"$or": [{"genre": "comedy"}, {"year": 2005}]}, True),
        ({"$and": [{"genre": "drama"}, {"year": 2006}]}, False),
    ],
)
def test_filters_select_by_metadata(wanted: dict[str, object], passes: bool) -> None:
    """Each operator does what its name says."""
    check(wanted)

    assert matches(wanted, {"genre": "drama", "year": 2005, "tags": ["a", "b"]}) is passes


@pytest.mark.parametrize(
    "wanted",
    [{"$not": []}, {"$or": {"a": 1}}, {"a": {"$in": "b"}}, {"a": {"$gt": "b"}}, {"a": 1, "b": {"$x": 1}}],
)
def test_a_filter_that_is_not_understood_is_an_error(wanted: dict[str, object]) -> None:
    """Before anything is searched."""
    with pytest.raises(FilterError):
        check(wanted)
