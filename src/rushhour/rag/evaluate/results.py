"""What an evaluation found: figures with their intervals, side by side, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushhour.rag.evaluate.bootstrap import Estimate, estimate
from rushhour.rag.evaluate.dataset import Dataset, Labelled
from rushhour.rag.evaluate.metrics import METRICS, measure
from rushhour.rag.evaluate.run import Trial


@dataclass(frozen=True, slots=True)
class Prices:
    """In dollars: `embed` for a million tokens, `rerank` for a thousand calls."""

    embed: float = 0.0
    rerank: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """One configuration's figures; what is spent is the mean of a question.

    `estimates` are by metric, in the order of `Evaluation.metrics`. `degraded` counts the questions that got less than
    was asked for, by how; `reused` those whose vector came from a cache that replicas share.
    """

    name: str
    estimates: Mapping[str, Estimate]
    p50_s: float
    p95_s: float
    embedding_tokens: float
    rerank_calls: float
    cost_usd: float
    degraded: Mapping[str, int]
    reused: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All runs over the same questions. `metrics` are their names; `answerable` questions have known answers."""

    dataset: str
    split: str
    documents: int
    empty: int
    questions: int
    answerable: int
    embedder: str
    at_once: int
    seed: int
    metrics: tuple[str, ...]
    runs: tuple[Run, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the data set's name and the runs, each with its figures, intervals and circumstances."""
        return {"dataset": self.dataset, "runs": [self._run_as_json(run) for run in self.runs]}

    def _run_as_json(self, run: Run) -> dict[str, Any]:
        return {
            "name": run.name,
            **{metric: round(run.estimates[metric].mean, 6) for metric in self.metrics},
            "interval_95": {
                metric: [round(run.estimates[metric].low, 6), round(run.estimates[metric].high, 6)]
                for metric in self.metrics
            },
            "best": [metric for metric in self.metrics if run.estimates[metric].best],
            "worse_than_best": [metric for metric in self.metrics if run.estimates[metric].worse],
            "latency_p50_s": round(run.p50_s, 6),
            "latency_p95_s": round(run.p95_s, 6),
            "embedding_tokens_per_question": round(run.embedding_tokens, 3),
            "rerank_calls_per_question": round(run.rerank_calls, 4),
            "cost_usd_per_question": run.cost_usd,
            "degraded": dict(run.degraded),
            "vectors_reused": run.reused,
            "split": self.split,
            "documents": self.documents,
            "empty_documents": self.empty,
            "questions": self.questions,
            "questions_with_answers": self.answerable,
            "questions_at_once": self.at_once,
            "embedder": self.embedder,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the figures depend on besides the data set."""

    embedder: str
    top_k: int
    at_once: int
    seed: int
    prices: Prices = Prices()


def judge(dataset: Dataset, trials: Sequence[Trial], where: Circumstances) -> Evaluation:
    """Turn what the configurations found for the data set's questions into figures (seconds of CPU: not on the loop).

    Where questions have known answers, `answer@k` is the share of them whose `k` packed passages hold one.
    """
    questions = dataset.questions
    relevant = [question.relevant for question in questions]
    measured = np.stack([measure([reply.documents for reply in trial.replies], relevant) for trial in trials])
    estimates = dict(zip(METRICS, estimate(np.moveaxis(measured, -1, 0), where.seed), strict=True))
    answerable = sum(bool(question.answers) for question in questions)
    if answerable:
        (estimates[f"answer@{where.top_k}"],) = estimate(_held(questions, trials)[None], where.seed)
    runs = tuple(
        _run(trial, {metric: found[nth] for metric, found in estimates.items()}, where.prices)
        for nth, trial in enumerate(trials)
    )
    return Evaluation(
        dataset=dataset.name,
        split=dataset.split,
        documents=len(dataset.documents),
        empty=dataset.empty,
        questions=len(questions),
        answerable=answerable,
        embedder=where.embedder,
        at_once=where.at_once,
        seed=where.seed,
        metrics=tuple(estimates),
        runs=runs,
    )


def _held(questions: Sequence[Labelled], trials: Sequence[Trial]) -> np.ndarray[Any, np.dtype[np.float64]]:
    places = [place for place, question in enumerate(questions) if question.answers]
    return np.array([[bool(trial.replies[place].holds_answer) for place in places] for trial in trials], np.float64)


def _run(trial: Trial, estimates: Mapping[str, Estimate], prices: Prices) -> Run:
    count = len(trial.replies)
    p50, p95 = np.quantile([reply.seconds for reply in trial.replies], [0.5, 0.95])
    tokens = trial.hops.get("embed", {}).get("input_tokens", 0) / count
    reranks = trial.hops.get("rerank", {}).get("calls", 0) / count
    return Run(
        name=trial.configuration.name,
        estimates=estimates,
        p50_s=float(p50),
        p95_s=float(p95),
        embedding_tokens=tokens,
        rerank_calls=reranks,
        cost_usd=tokens * prices.embed / 1e6 + reranks * prices.rerank / 1e3,
        degraded=Counter(label for reply in trial.replies for label in reply.degraded),
        reused=sum(reply.reused for reply in trial.replies),
    )
