"""The simulated model: it answers by quoting the best sentence of the context that it was given.

So a right answer can be told from a wrong one: the quote is verbatim, in “…”, and followed by ` [n]` where the
prompt's passages are numbered. A model that knew more than its prompt would hide a retrieval that found nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rushhour.simulator.lru import LeastRecentlyUsed
from rushhour.simulator.words import content_words

_LABEL = re.compile(r"(?:<question>|(?:(?:user|the)[ \t]+)?(?:question|query)[ \t]*:)[ \t]*", re.IGNORECASE)
_QUESTION_END = re.compile(r"\n[ \t]*\n|</question>|\n[ \t]*(?:helpful[ \t]+)?(?:answer|context)[ \t]*:", re.IGNORECASE)
_AFTER_MARKER = " \t:"
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*]*\s+(?=[\"'(\[*`]*[A-Z0-9_])")
_HEADING_END = re.compile(r"\A([^\n]{1,60}[^\s.,;!?])\n(?=[A-Z])")
_COMPLETE = re.compile(r"[.!?:][\"')\]*]*\Z")
_LONGEST_QUOTE = 240
_SHORTEST = 4
_ENOUGH = 0.3
_CACHED_PASSAGES = 16_384
_CACHED_ANSWERS = 512
"""Prompts are long, and a crowd asks few different ones at a time."""
_LONGEST_PROMPT = 32_768
_LONGEST_PASSAGE = 8_192
"""Characters; longer ones are not remembered, lest whoever sends whole books fill the memory with them."""
UNKNOWN = (
    "I do not know: nothing in the context that I was given answers this question. Please ask it in other words, or "
    "add a document that covers it."
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in the context, with its meaning-bearing words.

    `density` is the weight of one word found among them; `worth` is less for a heading, or where the end is cut off.
    """

    text: str
    words: frozenset[str]
    density: float
    worth: float

    @classmethod
    def of(cls, text: str) -> Sentence:
        """Take a sentence's measure."""
        words = content_words(text)
        worth = (1.0 if len(words) >= _SHORTEST else 0.5) * (1.0 if _COMPLETE.search(text) else 0.8)
        return cls(text, words, 0.5 / (8 + len(words)), worth)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt taken apart: the last question, and the passages by number (0 where they are not numbered)."""

    question: str
    passages: Sequence[tuple[int, str]]


class Answerer:
    """Finds the answer to a prompt; remembers the latest, and the sentences of the passages it saw lately.

    It remembers nothing of a size beyond reason: what it remembers is bounded in characters too.
    """

    def __init__(self) -> None:
        self._answers: LeastRecentlyUsed[tuple[str, ...], str] = LeastRecentlyUsed(_CACHED_ANSWERS)
        self._passages: LeastRecentlyUsed[str, tuple[Sentence, ...]] = LeastRecentlyUsed(_CACHED_PASSAGES)

    def answer(self, context: Sequence[str], asked: str) -> str:
        """Answer the last user message `asked`, given the texts of the messages before it (system prompts, say)."""
        key = (*context, asked)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._find(take_apart(context, asked))
            if sum(map(len, key)) <= _LONGEST_PROMPT:
                self._answers.put(key, answer)
        return answer

    def _find(self, prompt: Prompt) -> str:
        best = self._best(prompt)
        if best is None:
            return UNKNOWN
        number, sentence = best
        citation = f" [{number}]" if number else ""
        quote = _shorten(sentence.text)
        return f"The context says: “{quote}”{citation}"

    def _best(self, prompt: Prompt) -> tuple[int, Sentence] | None:
        wanted = content_words(prompt.question)
        if not wanted:
            return None
        hits: list[tuple[int, Sentence, frozenset[str]]] = []
        counts: dict[frozenset[str], int] = {}
        for number, passage in prompt.passages:
            for sentence in self._sentences(passage):
                found = sentence.words & wanted
                if found:
                    hits.append((number, sentence, found))
                    counts[found] = counts.get(found, 0) + 1
        best = _highest(hits, _weights(counts))
        if best is None or len(best[2]) < _ENOUGH * len(wanted):
            return None
        return best[0], best[1]

    def _sentences(self, passage: str) -> tuple[Sentence, ...]:
        known = self._passages.get(passage)
        if known is None:
            known = tuple(
                sentence for paragraph in _PARAGRAPH.split(passage) for sentence in split_sentences(paragraph)
            )
            if len(passage) <= _LONGEST_PASSAGE:
                self._passages.put(passage, known)
        return known


def take_apart(context: Sequence[str], asked: str) -> Prompt:
    """Find the question and the passages of a prompt.

    The question stands after the last `Question:` or `<question>` of the message, or is its last paragraph, or all
    of it. Passages are blocks that begin with `[1]`, `[2]`, … ; all else but the question is passage 0.
    """
    question, rest = _question(asked)
    text = "\n\n".join([*context, rest])
    return Prompt(question, list(_passages(text)))


def split_sentences(paragraph: str) -> list[Sentence]:
    """Cut a paragraph into sentences, verbatim; a heading on its first line is one of its own."""
    pieces = [paragraph]
    heading = _HEADING_END.match(paragraph)
    if heading:
        pieces = [paragraph[: heading.end()], paragraph[heading.end() :]]
    sentences: list[Sentence] = []
    for piece in pieces:
        start = 0
        for end in [match.end() for match in _SENTENCE_END.finditer(piece)] + [len(piece)]:
            text = piece[start:end].strip()
            start = end
            if text:
                sentences.append(Sentence.of(text))
    return sentences


def _question(asked: str) -> tuple[str, str]:
    label = _last_label(asked)
    if label is not None:
        end = _QUESTION_END.search(asked, label.end())
        stop = end.start() if end else len(asked)
        after = end.end() if end and end.group().endswith(">") else stop
        return asked[label.end() : stop].strip(), asked[: label.start()] + "\n\n" + asked[after:]
    *context, question = _PARAGRAPH.split(asked.strip())
    return question, "\n\n".join(context)


def _last_label(asked: str) -> re.Match[str] | None:
    """Return the last label of a question that begins a line; found from the end, since prompts are long."""
    lowered = asked.lower()
    end = len(lowered)
    while (place := max(lowered.rfind("question", 0, end), lowered.rfind("query", 0, end))) >= 0:
        line = asked.rfind("\n", 0, place) + 1
        start = line + len(asked[line:place]) - len(asked[line:place].lstrip(" \t"))
        label = _LABEL.match(asked, start)
        if label is not None:
            return label
        end = place
    return None


def _passages(text: str) -> Iterable[tuple[int, str]]:
    """Yield what is before the first number, then the passages 1, 2, 3, …; a number out of turn is but text."""
    text = "\n" + text
    number, start = 0, 0
    while (place := text.find(f"\n[{number + 1}]", start)) >= 0:
        yield number, text[start:place].lstrip(_AFTER_MARKER).strip()
        number += 1
        start = place + len(f"\n[{number}]")
    yield number, text[start:].lstrip(_AFTER_MARKER).strip()


def _weights(counts: Mapping[frozenset[str], int]) -> dict[frozenset[str], float]:
    """Weigh every set of words by their rarity; `counts` tells how many sentences hold just this set."""
    sentences: dict[str, int] = {}
    for words, count in counts.items():
        for word in words:
            sentences[word] = sentences.get(word, 0) + count
    rarity = {word: 1.0 / (1.0 + math.log(count)) for word, count in sentences.items()}
    # fsum: exact, so that the order of a set, which differs between processes, decides no tie
    return {words: math.fsum(rarity[word] for word in words) for words in counts}


def _highest(
    hits: Iterable[tuple[int, Sentence, frozenset[str]]], weights: Mapping[frozenset[str], float]
) -> tuple[int, Sentence, frozenset[str]] | None:
    """Return the first of the best: rare words of the question, then density; a heading or half a sentence is poor."""
    best, highest = None, -1.0
    for hit in hits:
        _, sentence, found = hit
        score = (weights[found] + len(found) * sentence.density) * sentence.worth
        if score > highest:
            best, highest = hit, score
    return best


def _shorten(sentence: str) -> str:
    if len(sentence) <= _LONGEST_QUOTE:
        return sentence
    return sentence[:_LONGEST_QUOTE].rsplit(None, 1)[0]
