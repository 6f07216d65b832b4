"""Which sentences of some passages answer a question, without a model.

Sentences are scored by how much of the question they share (stemmed words and word pairs, weighted by how rare they
are in the passages), by what stands beside them and above them, by whether they have the kind of thing that is asked
for, by how well their passage was ranked, and by how early they stand, because definitions come first. After Luhn
(1958) and the centroid summarizers that followed; word pairs are what tells a question about the `with` statement from
one about statements.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from rushhour.hops.contract import Passage
from rushhour.hops.sentences import sentences
from rushhour.hops.wanted import Wanted
from rushhour.hops.words import NAME_WEIGHT, STOP_STEMS, names, rarity, stems

MOST: Final = 5
_LEAST_COVERED: Final = 0.25
"""Share of the question's weight that the chosen sentences must know, or they are about something else."""
_LEAST_COVERED_OF_STRANGERS: Final = 0.5
"""The same where the passages know none of the question's names."""
_WORTH_QUOTING: Final = 0.75
"""Share of the best sentence's score that every further one needs."""
_DUPLICATE: Final = 0.6
"""Jaccard overlap of two sentences' words from which they say the same."""

# What a sentence's share of the question is joined by; tuned on labelled questions (benchmarks/extractive.py).
_HEADING: Final = 0.4
_BESIDE: Final = 0.25
_KIND: Final = 0.2
_RANK: Final = 0.8
_EARLY: Final = 0.1
_LEANING: Final = 0.1
_LONG: Final = 0.004
_LONG_FROM: Final = 35

_LEANS_BACK: Final = re.compile(
    r"(?:This|It|Its|These|They|Such|Those|Thus|Otherwise|Therefore|Hence|However|Then|But|And|Also|In this case"
    r"|He|She|His|Her|Their|See|For example|Note that|Changed in version|New in version|Added in version"
    r"|Deprecated since)\b"
)
_QUOTED: Final = re.compile(r"[\"“`‘']([\w ]{1,40})[\"”`’'](?!\w)")
_PAIR_WEIGHT: Final = 0.7

Term: TypeAlias = str | tuple[str, str]


@dataclass(slots=True, eq=False)
class Sentence:
    """A sentence of a passage, and what of the question it shares."""

    text: str
    passage: Passage
    position: int
    stems: list[str]
    shared: frozenset[Term]
    share: float = 0.0
    score: float = 0.0
    beside: list[Sentence] = field(default_factory=list)


def choose(question: str, passages: Sequence[Passage]) -> list[Sentence]:
    """Return the sentences to answer with, at most five; none where the passages share too little with the question.

    The passage of the best one comes first; within a passage they stand in its order.
    """
    asked, named = _terms(stems(question)) | _quoted(question), names(question)
    candidates = [one for passage in passages for one in _candidates(passage, asked)]
    weights = _weights(asked, named, candidates)
    if not weights:
        return []
    _score(question, candidates, passages, weights)
    chosen = _chosen(candidates)
    strange = named and not any(named & one.shared for one in candidates)
    if _covered(chosen, weights) < (_LEAST_COVERED_OF_STRANGERS if strange else _LEAST_COVERED):
        return []
    best_first = list(dict.fromkeys(one.passage.number for one in chosen))
    return sorted(chosen, key=lambda one: (best_first.index(one.passage.number), one.position))


def _candidates(passage: Passage, asked: frozenset[Term]) -> list[Sentence]:
    found = []
    for position, text in enumerate(sentences(passage.text)):
        said = stems(text)
        found.append(Sentence(text, passage, position, said, _shared(asked, said)))
    for one, after in pairwise(found):
        one.beside.append(after)
        after.beside.append(one)
    return found


def _terms(said: Sequence[str]) -> frozenset[Term]:
    """Return the content words, and the pairs of neighbours of which one is a content word."""
    content = (one for one in said if one not in STOP_STEMS)
    pairs = (pair for pair in pairwise(said) if not STOP_STEMS.issuperset(pair))
    return frozenset((*content, *pairs))


def _quoted(question: str) -> frozenset[Term]:
    """Take what a question puts in quotes for what it asks about, be it a stop word: the "with" of Python, say."""
    return frozenset(one for found in _QUOTED.findall(question) for one in stems(found))


def _shared(asked: frozenset[Term], said: Sequence[str]) -> frozenset[Term]:
    return asked.intersection(said) | asked.intersection(pairwise(said))


def _weights(asked: frozenset[Term], named: frozenset[str], candidates: Sequence[Sentence]) -> dict[Term, float]:
    """Weigh a question's terms by rarity; a pair that the passages do not know weighs nothing."""
    known = Counter(term for one in candidates for term in one.shared)
    return {
        term: rarity(known[term], len(candidates))
        * (_PAIR_WEIGHT if isinstance(term, tuple) else NAME_WEIGHT if term in named else 1.0)
        for term in asked
        if isinstance(term, str) or known[term]
    }


def _score(
    question: str, candidates: Sequence[Sentence], passages: Sequence[Passage], weights: dict[Term, float]
) -> None:
    worth = _worth(passages)
    headed = {one.chunk_id: frozenset(stems(f"{one.title} {one.heading}")) for one in passages}
    total = math.fsum(weights.values())
    for one in candidates:
        heading = headed[one.passage.chunk_id]
        one.share = math.fsum(
            weight if term in one.shared else _HEADING * weight if term in heading else 0.0
            for term, weight in weights.items()
        )
        one.share /= total
    wanted = Wanted(question)
    for one in candidates:
        one.score = (
            one.share
            + _BESIDE * max((other.share for other in one.beside), default=0.0)
            + _KIND * wanted.share(one.text)
            + _RANK * worth[one.passage.chunk_id]
            + _EARLY / (1 + one.position)
            - _LONG * max(0, len(one.stems) - _LONG_FROM)
            - (_LEANING if _LEANS_BACK.match(one.text) else 0.0)
        ) * (one.share > 0)


def _worth(passages: Sequence[Passage]) -> dict[str, float]:
    """Return how far each passage is behind the best one, 1 for the best."""
    best = max((one.score for one in passages), default=0.0)
    if best <= 0:
        return {one.chunk_id: 1.0 for one in passages}
    return {one.chunk_id: max(one.score, 0.0) / best for one in passages}


def _chosen(candidates: Sequence[Sentence]) -> list[Sentence]:
    """Take the best, others nearly as good that say something else, and what the best one leans on or leads to."""
    ranked = sorted((one for one in candidates if one.score > 0), key=lambda one: -one.score)
    if not ranked:
        return []
    best = ranked[0]
    chosen = [best, *_company(best)]
    for one in ranked[1:]:
        if len(chosen) == MOST or one.score < _WORTH_QUOTING * best.score:
            break
        if not any(one is other or _alike(one, other) for other in chosen):
            chosen.append(one)
    return chosen


def _company(best: Sentence) -> list[Sentence]:
    """Return what goes with the best sentence: what it leans on, and what leans on it."""
    before = [one for one in best.beside if one.position < best.position and _LEANS_BACK.match(best.text)]
    after = [
        one
        for one in best.beside
        if one.position > best.position and _LEANS_BACK.match(one.text) and not one.text.startswith("See")
    ]
    return before + after


def _alike(one: Sentence, other: Sentence) -> bool:
    first, second = set(one.stems), set(other.stems)
    return len(first & second) >= _DUPLICATE * len(first | second)


def _covered(chosen: Sequence[Sentence], weights: dict[Term, float]) -> float:
    """Return the share of the question's words, by weight, that the chosen sentences know."""
    single = {term: weight for term, weight in weights.items() if isinstance(term, str)}
    known = frozenset(term for one in chosen for term in one.shared)
    return sum(weight for term, weight in single.items() if term in known) / sum(single.values())
