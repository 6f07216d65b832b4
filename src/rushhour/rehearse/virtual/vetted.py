"""Questions that a plain dense pipeline answers on a quiet day: as `vetting` has it, without asking over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rushhour.rehearse.corpus import Document
from rushhour.rehearse.judge import quotes
from rushhour.rehearse.naive_chunk import chunk
from rushhour.rehearse.pipelines import EMBED_MODEL, TOP_K
from rushhour.rehearse.questions import Question
from rushhour.simulator.vectors import TextVectors


def vet(corpus: Sequence[Document], candidates: Sequence[Question], wanted: int, dimensions: int) -> list[Question]:
    """Return up to `wanted` of the candidates, in their order, whose gold the nearest chunks hold."""
    vectors = TextVectors()
    texts = [text for document in corpus for _, text in chunk(document)]
    rows = np.stack([vectors.vector(text, EMBED_MODEL, dimensions) for text in texts])
    kept: list[Question] = []
    for question in candidates:
        if len(kept) >= wanted:
            break
        scores = rows @ vectors.vector(question.text, EMBED_MODEL, dimensions)
        nearest = np.argsort(-scores, kind="stable")[:TOP_K]
        if any(quotes(texts[place], question.gold) for place in nearest):
            kept.append(question)
    return kept
