"""A follow-up question, made to stand alone, so that retrieval knows what it is about.

"How tall is it?" finds nothing; with what the conversation is about it does. A chat model is asked to say it anew where
there is one and time enough; else the telling words of what was asked before are searched along. Either way the answer
is one to the user's own words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from rushhour.errors import RushhourError, TruncatedStream, WouldMissDeadline
from rushhour.flow.call import Call, Event, Hop
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.stream import Stream
from rushhour.hops.contract import ChatDelta, ChatRequest, Message
from rushhour.hops.words import STOP_WORDS, stem, words
from rushhour.rag.contract import Question

CONDENSE: Final = "condense"
"""The name of the call in events and receipts; it is made through the chat hop, but is no part of the answer."""
NOT_CONDENSED: Final = "not_condensed"

INSTRUCTIONS: Final = (
    "Rewrite the last question so that it can be understood without the conversation before it: replace pronouns and "
    "fill in what was left out. Keep its language and its meaning, add nothing, and do not answer it. Reply with the "
    "rewritten question alone, on one line."
)

_LEANS_ON: Final = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|he|him|his|she|her|hers|these|those|this|former|latter|above|same"
    r"|previous|previously|earlier)\b"
    r"|\b(?:about|after|before|by|do|does|for|from|is|like|of|than|that's|was|with)\s+that\b(?=\s*(?:[?.!,]|$))"
    r"|^(?:and|or|but|so|also|then|what about|how about|why not|what else|which one|tell me more|more)\b",
    re.IGNORECASE,
)
_FEW_WORDS: Final = 2
"""So few words are no question of their own: "why?", "for Windows?"."""
_CARRIED: Final = 12
_TURNS: Final = 6
_LONGEST_TURN: Final = 600
_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class CondenseSettings:
    """A condensed question has at most `max_tokens`; making it may take the part `share` of the time that is left.

    It takes at most `patience_s` seconds, however much is left.
    """

    max_tokens: int = 64
    share: float = 0.15
    patience_s: float = 4.0


class Condenser:
    """Makes follow-up questions stand alone, with `chat` where there is one."""

    def __init__(
        self, chat: Hop[ChatRequest, Stream[ChatDelta]] | None = None, settings: CondenseSettings | None = None
    ) -> None:
        self._chat = chat
        self._settings = settings or CondenseSettings()

    async def __call__(self, question: Question, call: Call, *, hurried: bool = False) -> str:
        """Return what to search for; in a rush nobody is asked. Never fails: Degraded says what came instead."""
        if not leans_back(question.text, question.history):
            return question.text
        if self._chat is None:
            return carried(question.text, question.history)
        try:
            if hurried:
                raise WouldMissDeadline("There is a rush at the generator; the question was not condensed.")
            return await self._asked(self._chat, question, call)
        except RushhourError as cause:
            call.emit(Degraded(CONDENSE, NOT_CONDENSED, cause))
            return carried(question.text, question.history)

    async def _asked(self, chat: Hop[ChatRequest, Stream[ChatDelta]], question: Question, call: Call) -> str:
        now = asyncio.get_running_loop().time()
        patience = min(self._settings.share * (call.deadline - now), self._settings.patience_s)
        within = structs.replace(call, deadline=now + patience, emit=_Account(call))
        text: list[str] = []
        finish_reason = None
        async with await chat(self._request(question), within) as reply:
            reply.deadline = min(reply.deadline, within.deadline)
            async for delta in reply:
                text.append(delta.text)
                finish_reason = delta.finish_reason or finish_reason
        condensed = " ".join("".join(text).split()).strip('"“”')
        if finish_reason != "stop" or not condensed or len(condensed) > _LONGEST + len(question.text):
            raise TruncatedStream("The model did not condense the question; it was searched with the words before it.")
        return condensed

    def _request(self, question: Question) -> ChatRequest:
        said = "\n".join(
            f"{'User' if turn.role == 'user' else 'Assistant'}: {_shortened(turn.content)}"
            for turn in question.history[-_TURNS:]
        )
        return ChatRequest(
            messages=(
                Message("system", INSTRUCTIONS),
                Message("user", f"Conversation:\n{said}\n\nLast question: {_shortened(question.text)}"),
            ),
            max_tokens=self._settings.max_tokens,
            temperature=0.0,
            question=question.text,
        )


@dataclass(frozen=True, slots=True)
class _Account:
    """Tells what the call took under its own name; what it fell back on is no matter of the answer's."""

    call: Call

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Degraded):
            self.call.emit(structs.replace(event, hop=CONDENSE))


def leans_back(question: str, history: Sequence[Message]) -> bool:
    """Whether a question can hardly be understood without the conversation before it."""
    if not any(turn.role == "user" for turn in history):
        return False
    said = words(question)
    return len(said) <= _FEW_WORDS or _LEANS_ON.search(question.strip()) is not None or not _telling(said)


def carried(question: str, history: Sequence[Message]) -> str:
    """Return the question with the telling words of those before it, back to the last that stood alone."""
    known = set(map(stem, words(question)))
    more: list[str] = []
    asked = [place for place, turn in enumerate(history) if turn.role == "user"]
    for place in reversed(asked):
        text = history[place].content[:_LONGEST_TURN]
        for word in _WORDS.findall(text):
            root = stem(word.lower())
            if word.lower() not in STOP_WORDS and root not in known and len(more) < _CARRIED:
                known.add(root)
                more.append(word)
        if not leans_back(text, history[:place]):
            break
    return " ".join((question, *more))


_WORDS: Final = re.compile(r"[^\W_]+")


def _telling(said: Sequence[str]) -> list[str]:
    return [word for word in said if word not in STOP_WORDS]


def _shortened(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _LONGEST_TURN else f"{one_line[:_LONGEST_TURN]} …"
