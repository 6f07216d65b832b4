"""From a question in a conversation to its passages, and how far they are to be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from rushhour.flow.call import Call
from rushhour.hops.contract import ChatRequest, Passage
from rushhour.rag.answering.condense import Condenser
from rushhour.rag.answering.prompt import prompt
from rushhour.rag.contract import Grounding, Question
from rushhour.rag.retrieval.retrieve import Retriever

Judge: TypeAlias = Callable[[str, Sequence[Passage]], tuple[float, bool]]
"""Says how likely passages are to hold the answer to a question, and whether that is too little."""


class Found(msgspec.Struct, frozen=True):
    """What there is to answer from; `searched` is the question as it was looked for."""

    question: Question
    searched: str
    passages: tuple[Passage, ...]
    confidence: float | None = None
    weak: bool = False

    def prompt(self, max_tokens: int) -> ChatRequest:
        """Return the prompt for an answer of at most so many tokens."""
        return prompt(self.question, self.passages, max_tokens, searched=self.searched, weak=self.weak)

    def grounding(self, *, cited: int, invalid: int, quoted: bool) -> Grounding:
        """Say how an answer stands on it that cites so much; one that is `quoted` cites whatever it says."""
        not_found = not cited and (not self.passages or self.weak or quoted)
        confidence = None if self.confidence is None else round(self.confidence, 3)
        return Grounding(confidence, not_found, invalid)


class Finder:
    """Makes the question stand alone, retrieves, and judges what was found."""

    def __init__(self, retrieve: Retriever, condense: Condenser, judge: Judge | None) -> None:
        self._retrieve = retrieve
        self._condense = condense
        self._judge = judge

    async def __call__(self, question: Question, call: Call, *, hurried: bool = False) -> Found:
        """Find passages; raises what the retriever does."""
        searched = await self._condense(question, call, hurried=hurried)
        passages = await self._retrieve(question.collection, searched, call, question.top_k, question.filters)
        judged = self._judge(searched, passages) if self._judge and passages else (None, False)
        return Found(question, searched, tuple(passages), *judged)
