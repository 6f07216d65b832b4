"""Real questions whose right answer is known: one distinctive sentence of the manual, its *gold*.

A question is made of the rarest words of its gold, so that a plain dense pipeline finds it on a quiet day and
every failure of the rehearsal is a failure under load. An answer is right if it quotes the gold: a question
never does, so repeating it proves nothing.
"""

from __future__ import annotations

import math
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rushhour.rehearse.corpus import Document, sentences

LENGTH = range(70, 171)
"""Characters of a gold; shorter than the 200 by which naive chunks overlap, so that one chunk holds all of it."""

_LEAST_FRAGMENTS = 4
_MOST_FRAGMENTS = 6
_NEAREST_RIVAL = 0.55
"""A question is dropped when another sentence shares more than this part of the weight of its words."""

_PROSE = re.compile(r"[A-Z][^\[\]{}<>=|*\\]+[a-z\"”)]\.")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf)\.", re.IGNORECASE)
_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_ENDING = re.compile(r"(?<=...)(?:e?s|e?d|ing|e)$")
_CLAUSE = re.compile(r"(If|When) (.{25,110}?), (?!and\b|or\b)")
_LITTLE_WORDS = """
a about above after all also always an and any are as at be because been before being between both but by
can cannot could did do does done each either for from had has have how however if in into is it its
itself just like may might more most must no nor not of on one only or other otherwise our out over own
per same shall should since so some such than that the their them then there therefore these they this
those through thus to too two under until up upon used using very was we were what when where whether
which while who whose why will with within without would yet you your
"""
_STOP = frozenset(_LITTLE_WORDS.split())


@dataclass(frozen=True, slots=True)
class Question:
    """What one user may ask: the text, the topic it comes from, and the sentence that answers it."""

    topic: str
    text: str
    gold: str


def make_questions(corpus: Sequence[Document], seed: int) -> list[Question]:
    """Return every question that has exactly one right answer in the corpus, shuffled by the seed.

    The same corpus and seed give the same questions in the same order.
    """
    drawn = random.Random(seed)
    every = [(document, sentence) for document in corpus for sentence in sentences(document)]
    copies = Counter(sentence for _, sentence in every)
    weights = _Weights(copies)
    asked = [
        question
        for document, sentence in every
        if copies[sentence] == 1 and is_distinctive(sentence)
        if (question := _ask(document, sentence, weights, drawn)) is not None
    ]
    drawn.shuffle(asked)
    return asked


def is_distinctive(sentence: str) -> bool:
    """Say whether a sentence can be a gold: plain prose of a good length, with enough to ask about."""
    return (
        len(sentence) in LENGTH
        and _PROSE.fullmatch(sentence) is not None
        and re.search(r"[.!?]\s", sentence) is None
        and _ABBREVIATION.search(sentence) is None
        and len(_content(sentence)) > _LEAST_FRAGMENTS
    )


def _ask(document: Document, gold: str, weights: _Weights, drawn: random.Random) -> Question | None:
    text = _what_happens(gold, drawn) or _what_about(document, gold, weights, drawn)
    if text is None or weights.nearest_rival(text, gold) > _NEAREST_RIVAL:
        return None
    return Question(document.name, text, gold)


def _what_happens(gold: str, drawn: random.Random) -> str | None:
    clause = _CLAUSE.match(gold)
    if clause is None or len(_content(clause[2])) < _LEAST_FRAGMENTS or len(clause[0]) > 0.7 * len(gold):
        return None
    form = drawn.choice(("What happens in Python {}?", "In Python, what is the rule {}?", "What does Python do {}?"))
    return form.format(f"{clause[1].lower()} {clause[2]}")


def _what_about(document: Document, gold: str, weights: _Weights, drawn: random.Random) -> str | None:
    fragments = _fragments(gold)
    if len(fragments) < _LEAST_FRAGMENTS:
        return None
    rarest = sorted(fragments, key=weights.of, reverse=True)[:_MOST_FRAGMENTS]
    *first, last = [fragment for fragment in fragments if fragment in rarest]
    form = drawn.choice(
        (
            "What does the manual say about {}?",
            "I am reading “{title}”: what is the rule about {}?",
            "How are {} related?",
            "Can you explain this to me: {}?",
            "In “{title}”, what is said of {}?",
        )
    )
    return form.format(f"{', '.join(first)} and {last}", title=document.title)


def _content(text: str) -> list[str]:
    """Return the words that carry meaning, without their endings: rivals that say `emulating` for `emulates` count."""
    return [_ENDING.sub("", word) for word in _WORD.findall(text.lower()) if word not in _STOP and len(word) > 1]


def _fragments(sentence: str) -> list[str]:
    """Split at punctuation and the little words between; what is left are things one can ask about."""
    found: dict[str, None] = {}
    for part in re.split(r"[^\w\s'’-]+", sentence):
        run: list[str] = []
        for word in [*part.split(), ""]:
            plain = word.lower().strip("'’-")
            if plain and plain not in _STOP and len(run) < 3:
                run.append(word if word.isupper() or "_" in word else plain)
            elif run:
                found[" ".join(run)] = None
                run = []
    return [fragment for fragment in found if len(fragment) > 2]


class _Weights:
    """How rare words are among the sentences of a corpus, and which sentences share them."""

    def __init__(self, corpus: Iterable[str]) -> None:
        self._sentences = {sentence: frozenset(_content(sentence)) for sentence in corpus}
        self._where: dict[str, list[str]] = {}
        for sentence, words in self._sentences.items():
            for word in words:
                self._where.setdefault(word, []).append(sentence)

    def of(self, text: str) -> float:
        """Sum of the inverse document frequencies of a text's words."""
        return sum(self._weight(word) for word in dict.fromkeys(_content(text)))

    def nearest_rival(self, question: str, gold: str) -> float:
        """Return what part of the words the question shares with its gold the next best sentence shares too."""
        shared: defaultdict[str, float] = defaultdict(float)
        for word in dict.fromkeys(_content(question)):
            weight = self._weight(word)
            for sentence in self._where.get(word, ()):
                shared[sentence] += weight
        right = shared.pop(gold, 0.0)
        return max(shared.values(), default=0.0) / right if right else math.inf

    def _weight(self, word: str) -> float:
        return math.log(1 + len(self._sentences) / (1 + len(self._where.get(word, ()))))
