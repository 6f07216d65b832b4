"""Simulated embeddings: unit length, deterministic, and alike for texts that are alike."""

import re
from pydoc_data.topics import topics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.simulator.vectors import TextVectors


@given(text=st.text(min_size=1, max_size=200), dimensions=st.sampled_from([8, 100, 512, 1536]))
def test_any_text_has_a_unit_vector(text: str, dimensions: int) -> None:
    """Whatever the text and the dimensions, the vector has length 1."""
    vector = TextVectors().vector(text, "m", dimensions)

    assert vector.shape == (dimensions,)
    assert vector.dtype == np.dtype("<f4")
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-5)


def test_vectors_are_the_same_in_every_process() -> None:
    """The hash does not depend on Python's per-process salt."""
    vector = TextVectors().vector("The with statement wraps a block.", "m", 16)

    assert vector.tobytes() == TextVectors().vector("The with statement wraps a block.", "m", 16).tobytes()
    assert np.flatnonzero(vector).tolist() == [0, 1, 4, 5, 6, 9, 11, 12]


@given(
    text=st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=120),
    sizes=st.tuples(st.integers(1, 600), st.integers(1, 600)).map(sorted),
)
def test_a_shorter_vector_is_the_beginning_of_a_longer_one(text: str, sizes: list[int]) -> None:
    """Truncated and made of unit length again, the longer vector is the shorter one, unless nothing is left."""
    short, long = (TextVectors().vector(text, "m", size) for size in sizes)
    beginning = long[: len(short)].astype(np.float64)
    length = float(np.linalg.norm(beginning))

    if length > 1e-4:
        assert np.allclose(beginning / length, short, atol=1e-5)


def test_models_have_spaces_of_their_own() -> None:
    """The same text under two models is not alike."""
    vectors = TextVectors()
    text = "Context managers wrap the execution of a block with methods defined by a manager."

    assert abs(float(vectors.vector(text, "a", 512) @ vectors.vector(text, "b", 512))) < 0.4


def test_similar_texts_are_nearer_than_others() -> None:
    """A paraphrase of a passage is much nearer to it than to another one."""
    vectors = TextVectors()
    passage = vectors.vector("The raise statement re-raises the exception that is currently active.", "m", 512)
    asked = vectors.vector("Which statement raises an active exception again?", "m", 512)
    other = vectors.vector("A list comprehension builds a new list from an iterable.", "m", 512)

    assert float(asked @ passage) > 0.3
    assert float(asked @ passage) > float(other @ passage) + 0.2


def test_a_question_finds_its_passage_in_the_python_manual() -> None:
    """Half a passage of real text finds the whole one among all of the manual's, nearly always."""
    passages = [text[at : at + 1_000] for text in topics.values() for at in range(0, len(text), 1_000)]
    passages = [passage for passage in passages if len(passage) == 1_000]
    vectors = TextVectors()
    matrix = np.stack([vectors.vector(passage, "m", 512) for passage in passages])
    found = 0
    for row, passage in enumerate(passages[::5]):
        words = re.findall(r"\w{5,}", passage)[5:15]
        scores = np.einsum("ij,j->i", matrix, vectors.vector("What about " + " ".join(words) + "?", "m", 512))
        found += int((scores > scores[5 * row]).sum()) < 5

    assert found >= 0.9 * len(passages[::5])
