"""An answer without a model: the passages' best sentences, quoted verbatim and cited.

Sentences are scored by how much of the question they share (stemmed words and word pairs, weighted by how rare
they are in the passages), by how well their passage was ranked, and by how early they stand, because definitions
come first. After Luhn (1958) and the centroid summarizers that followed; word pairs are what tells a question
about the `with` statement from one about statements.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Passage, Usage
from rushhour.hops.sentences import sentences
from rushhour.hops.words import STOP_WORDS, stem, words

NO_ANSWER: Final = "The documents do not answer this."
MOST: Final = 4
_LEAST_COVERED: Final = 0.4
"""Share of the question's weight that the passages must know, or they are about something else."""
_WORTH_QUOTING: Final = 0.6
"""Share of the best sentence's score that every further one needs."""
_DUPLICATE: Final = 0.6
"""Jaccard overlap of two sentences' words from which they say the same."""

_LEANS_BACK: Final = re.compile(
    r"(?:This|It|Its|These|They|Such|Those|Thus|Otherwise|Therefore|Hence|However|Then|But|And|Also|In this case"
    r"|See|For example|Note that|Changed in version|New in version|Added in version|Deprecated since)\b"
)

_QUOTED: Final = re.compile(r"[\"“`‘']([\w ]{1,40})[\"”`’'](?!\w)")

_NAMES: Final = re.compile(r"(?<=[\w,] )(?:[A-Z]\w+|\d+)")
_NAME_WEIGHT: Final = 1.5
_PAIR_WEIGHT: Final = 0.7

Term: TypeAlias = str | tuple[str, str]


@dataclass(slots=True)
class _Sentence:
    text: str
    passage: Passage
    position: int
    stems: list[str]
    shared: frozenset[Term]
    score: float = 0.0


class Extractive:
    """The generator that needs nothing: quotes two to four sentences, each followed by its `[n]`.

    Answers "The documents do not answer this." where the passages share too little with the question. Usage is
    counted at four characters a token; no `Used` is emitted, because nobody is paid.
    """

    model = "extractive"

    async def __call__(self, request: ChatRequest, call: Call) -> Stream[ChatDelta]:  # noqa: ARG002 – a hop's shape
        """Choose and quote; takes one to three milliseconds for eight passages."""
        question = request.question or next((m.content for m in reversed(request.messages) if m.role == "user"), "")
        quoted, finish_reason = _fitting(best_sentences(question, request.passages), request.max_tokens)
        read = sum(len(passage.text) for passage in request.passages) + len(question)
        usage = Usage(input_tokens=read // 4 + 1, output_tokens=sum(map(_tokens, quoted)))
        return Stream(_deltas(quoted, finish_reason, usage))


def best_sentences(question: str, passages: Sequence[Passage]) -> list[str]:
    """Return the sentences to answer with, cited; one that says so if there are none.

    The passage of the best one comes first; within a passage they stand in its order.
    """
    asked = _terms(_stems(question)) | _quoted(question)
    candidates = [one for passage in passages for one in _candidates(passage, asked)]
    weights = _weights(asked, _names(question), candidates)
    if not weights:
        return [NO_ANSWER]
    _score(candidates, passages, weights)
    chosen = _choose(candidates)
    if _covered(chosen, weights) < _LEAST_COVERED:
        return [NO_ANSWER]
    best_first = list(dict.fromkeys(one.passage.number for one in chosen))
    chosen.sort(key=lambda one: (best_first.index(one.passage.number), one.position))
    return [f"{one.text} [{one.passage.number}]" for one in chosen]


def _candidates(passage: Passage, asked: frozenset[Term]) -> list[_Sentence]:
    found = []
    for position, text in enumerate(sentences(passage.text)):
        stems = _stems(text)
        found.append(_Sentence(text, passage, position, stems, _shared(asked, stems)))
    return found


def _stems(text: str) -> list[str]:
    return list(map(stem, words(text)))


_STOP_STEMS: Final = frozenset(map(stem, STOP_WORDS))


def _terms(stems: Sequence[str]) -> frozenset[Term]:
    """Return the content words, and the pairs of neighbours of which one is a content word."""
    content = (one for one in stems if one not in _STOP_STEMS)
    pairs = (pair for pair in pairwise(stems) if not _STOP_STEMS.issuperset(pair))
    return frozenset((*content, *pairs))


def _quoted(question: str) -> frozenset[Term]:
    """Take what a question puts in quotes for what it asks about, be it a stop word: the "with" of Python, say."""
    return frozenset(one for found in _QUOTED.findall(question) for one in _stems(found))


def _shared(asked: frozenset[Term], stems: Sequence[str]) -> frozenset[Term]:
    return asked.intersection(stems) | asked.intersection(pairwise(stems))


def _names(question: str) -> frozenset[Term]:
    """Names and figures: a passage that does not know them is hardly about them."""
    return frozenset(one for found in _NAMES.findall(question) for one in _stems(found))


def _weights(question: frozenset[Term], names: frozenset[Term], candidates: Sequence[_Sentence]) -> dict[Term, float]:
    """Weigh a question's terms by rarity; a pair that the passages do not know weighs nothing."""
    known = Counter(term for one in candidates for term in one.shared)
    rarest = 1 + len(candidates)
    return {
        term: math.log(1 + rarest / (1 + known[term]))
        * (_PAIR_WEIGHT if isinstance(term, tuple) else _NAME_WEIGHT if term in names else 1.0)
        for term in question
        if isinstance(term, str) or known[term]
    }


def _score(candidates: Sequence[_Sentence], passages: Sequence[Passage], weights: dict[Term, float]) -> None:
    ranked = sorted(passages, key=lambda one: (-one.score, one.number))
    rank = {passage.chunk_id: place / len(ranked) for place, passage in enumerate(ranked)}
    named = {one.chunk_id: frozenset(_stems(f"{one.title} {one.heading}")) for one in passages}
    total = sum(weights.values())
    for one in candidates:
        heading = named[one.passage.chunk_id]
        shared = sum(
            weight if term in one.shared else 0.4 * weight if term in heading else 0.0
            for term, weight in weights.items()
        )
        one.score = (
            shared / total
            + 0.2 * (1 - rank[one.passage.chunk_id])
            + 0.2 / (1 + one.position)
            - 0.004 * max(0, len(one.stems) - 35)
            - (0.25 if _LEANS_BACK.match(one.text) else 0.0)
        ) * (shared > 0)


def _choose(candidates: Sequence[_Sentence]) -> list[_Sentence]:
    """Take the best, what follows from it, and others nearly as good that say something else."""
    ranked = sorted((one for one in candidates if one.score > 0), key=lambda one: -one.score)
    if not ranked:
        return []
    best = ranked[0]
    chosen = [best]
    after = next((one for one in candidates if one.passage is best.passage and one.position == best.position + 1), None)
    if after and _LEANS_BACK.match(after.text) and not after.text.startswith("See"):
        chosen.append(after)
    for one in ranked[1:]:
        if len(chosen) == MOST or one.score < _WORTH_QUOTING * best.score:
            break
        if not any(one is other or _alike(one, other) for other in chosen):
            chosen.append(one)
    return chosen


def _alike(one: _Sentence, other: _Sentence) -> bool:
    first, second = set(one.stems), set(other.stems)
    return len(first & second) >= _DUPLICATE * len(first | second)


def _covered(chosen: Sequence[_Sentence], weights: dict[Term, float]) -> float:
    """Return the share of the question's words, by weight, that the chosen sentences know."""
    single = {term: weight for term, weight in weights.items() if isinstance(term, str)}
    known = frozenset(term for one in chosen for term in one.shared)
    return sum(weight for term, weight in single.items() if term in known) / sum(single.values())


def _fitting(quoted: list[str], max_tokens: int) -> tuple[list[str], str]:
    """Leave out what does not fit into `max_tokens`, but never everything."""
    room = max_tokens
    for count, text in enumerate(quoted):
        room -= _tokens(text)
        if room < 0 and count:
            return quoted[:count], "length"
    return quoted, "stop"


def _tokens(text: str) -> int:
    return len(text) // 4 + 1


async def _deltas(quoted: Iterable[str], finish_reason: str, usage: Usage) -> AsyncIterator[ChatDelta]:
    for count, text in enumerate(quoted):
        yield ChatDelta(f" {text}" if count else text)
    yield ChatDelta("", finish_reason, usage)
