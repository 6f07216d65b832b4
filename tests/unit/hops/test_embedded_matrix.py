"""The matrix finds exactly what a plain sort finds, whatever was put and dropped before."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rushhour.hops.embedded_matrix import Matrix, narrow

DIMENSIONS = 4
changes = st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), max_size=8)), max_size=20)


def vectors(seeds: list[int], salt: int = 0) -> NDArray[np.float32]:
    """Make one unit vector a seed."""
    rows = [np.random.default_rng((seed, salt)).standard_normal(DIMENSIONS) for seed in seeds]
    stacked = np.array(rows, np.float32).reshape(len(seeds), DIMENSIONS)
    unit: NDArray[np.float32] = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    return unit


@given(changes)
def test_the_matrix_agrees_with_a_dictionary(steps: list[tuple[bool, list[int]]]) -> None:
    """Rows move when others are dropped; ids, vectors and metadata move together."""
    matrix = Matrix(DIMENSIONS)
    model: dict[str, NDArray[np.float32]] = {}
    for salt, (put, numbers) in enumerate(steps):
        numbers = list(dict.fromkeys(numbers))
        ids = [f"id{number}" for number in numbers]
        if put:
            rows = vectors(numbers, salt)
            matrix.put(ids, rows, [{"parity": number % 2} for number in numbers])
            model.update(zip(ids, rows, strict=True))
        else:
            matrix.drop(ids)
            for one in ids:
                model.pop(one, None)

    query = vectors([99])
    (everything,) = matrix.nearest(query, [100], [None])
    (even,) = matrix.nearest(query, [100], [{"parity": 0}])

    assert {match.id: pytest.approx(match.score, abs=1e-6) for match in everything} == {
        one: float(row @ query[0]) for one, row in model.items()
    }
    assert {match.id for match in even} == {one for one in model if int(one[2:]) % 2 == 0}
    assert [match.score for match in everything] == sorted((match.score for match in everything), reverse=True)


@pytest.mark.parametrize("count", [1, 49, 63, 64, 65, 500, 2_000, 20_011])
@pytest.mark.parametrize("top_k", [1, 7, 50])
def test_narrowing_loses_none_of_the_best(count: int, top_k: int) -> None:
    """The groups of largest maxima hold all of the largest numbers, in every column."""
    scores = np.random.default_rng(count).standard_normal((count, 3)).astype(np.float32)

    places = narrow(scores, top_k)

    for column, candidates in zip(scores.T, places, strict=True):
        best = np.sort(column)[::-1][:top_k]
        assert np.array_equal(np.sort(column[candidates])[::-1][:top_k], best)
        assert len(set(candidates.tolist())) == len(candidates)


def test_narrowing_is_worth_it() -> None:
    """Of many rows only a few are left to be compared."""
    (candidates,) = narrow(np.random.default_rng(0).standard_normal((100_000, 1)).astype(np.float32), 50)

    assert len(candidates) < 4_000


def test_each_query_has_its_own_depth_and_filter() -> None:
    """Queries of one product do not share more than the product."""
    numbers = list(range(3_000))
    matrix = Matrix(DIMENSIONS)
    matrix.put([str(n) for n in numbers], vectors(numbers), [{"even": n % 2 == 0} for n in numbers])
    query = vectors([7777])
    filters: list[dict[str, Any] | None] = [None, {"even": True}, None]

    few, even, many = matrix.nearest(np.repeat(query, 3, axis=0), [3, 5, 40], filters)

    assert [len(found) for found in (few, even, many)] == [3, 5, 40]
    assert few == many[:3]
    assert all(int(match.id) % 2 == 0 for match in even)
