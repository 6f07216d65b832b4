"""Recall, MRR and nDCG of rankings, computed by trec_eval (through pytrec_eval), the field's reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rushhour.errors import InvalidRequest

Figures = NDArray[np.float64]

METRICS: Final = ("recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10")
DEPTH: Final = 10
"""How many documents of a ranking are looked at."""

_MEASURES: Final = ("recall_1", "recall_5", "recall_10", "recip_rank", "ndcg_cut_10")
"""The same in trec_eval's names; its reciprocal rank knows no cutoff, so rankings are cut before."""


def check_installed() -> None:
    """Raise InvalidRequest, with the remedy, where the library for the metrics is missing."""
    if find_spec("pytrec_eval") is None:
        raise InvalidRequest("The evaluation needs pytrec_eval; install it with:  pip install 'rushhour[eval]'")


def measure(rankings: Sequence[Sequence[str]], relevant: Sequence[Mapping[str, int]]) -> Figures:
    """Return the metrics of each question: shape (questions, len(METRICS)), each in [0, 1].

    `rankings` are document ids, best first, each once; `relevant` are the grades of the relevant ones, for the same
    questions in the same order. Recall@k is the share of the relevant documents among the first k, MRR@10 the mean of
    1 / rank of the first relevant one (0 beyond 10), nDCG@10 takes the grade as the gain and 1 / log2(rank + 1) as the
    discount.
    """
    from pytrec_eval import RelevanceEvaluator

    graded = {str(nth): dict(grades) for nth, grades in enumerate(relevant)}
    # Descending numbers, for trec_eval sorts by score itself and breaks ties by name.
    scored = {
        str(nth): {name: float(DEPTH - rank) for rank, name in enumerate(ranking[:DEPTH])}
        for nth, ranking in enumerate(rankings)
    }
    told = RelevanceEvaluator(graded, {"recall.1,5,10", "recip_rank", "ndcg_cut.10"}).evaluate(scored)
    rows = [[told[str(nth)][measured] for measured in _MEASURES] for nth in range(len(rankings))]
    return np.array(rows, dtype=np.float64).reshape(len(rankings), len(METRICS))
