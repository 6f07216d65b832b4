"""A rush at the generator: questions are fitted to its queue before anything is spent on them.

While there is time, an answer is made from fewer passages, and made shorter, before anyone is refused; but only as
far as that lowers what the call costs of the scarcest limit. Where requests are scarce and tokens are not, a lesser
answer would help nobody.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

from msgspec import structs

from rushhour.errors import WouldMissDeadline
from rushhour.flow.admission import Admission
from rushhour.flow.algorithms.recent import Recent
from rushhour.flow.call import Call
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.policies.fallback import Degraded
from rushhour.hops.contract import ChatRequest
from rushhour.rag.answering.prompt import prompt
from rushhour.rag.contract import Question

REDUCED = "reduced"


@dataclass(frozen=True, slots=True)
class PressureSettings:
    """Answers are reduced when the wait takes more than the part `tolerated` of the time that is left.

    Then the part `kept` remains of the passages and of `max_tokens`, but never less than the two `fewest`.
    """

    tolerated: float = 0.5
    kept: float = 0.5
    fewest_passages: int = 2
    fewest_tokens: int = 128


class Admitted(NamedTuple):
    """A question that was let in: its place, to be held until it joins the queue.

    One that is `pressed` should be reduced: it would wait too long otherwise.
    """

    place: AbstractContextManager[None]
    pressed: bool


class Pressure:
    """Admits, reduces or refuses questions by what the generator's queue predicts; `cost` is what its pacer charges.

    What the passages will add to a prompt's cost is not known when a question is admitted, so the recent mean stands
    in for it.
    """

    def __init__(
        self, admission: Admission, cost: Callable[[ChatRequest], Cost], settings: PressureSettings | None = None
    ) -> None:
        self._admission = admission
        self._cost = cost
        self._settings = settings or PressureSettings()
        self._context_tokens = Recent()
        self._takes = Recent()

    def takes(self) -> float:
        """Seconds that an answer lately took of the generator, its queue included: what must be left to it."""
        return self._takes.value

    def admit(self, bare: ChatRequest, call: Call) -> Admitted:
        """Let in a prompt that has no passages yet; whether a long wait presses it is decided here, at the door.

        Later, the promises of those who came after would count too. Raises WouldMissDeadline when it would come too
        late, a pressed one even if it is reduced.
        """
        whole = self._expected(self._cost(bare), 1.0)
        wait = self._admission.wait(whole, call)
        if wait <= self._settings.tolerated * (call.deadline - asyncio.get_running_loop().time()):
            return Admitted(self._admission.enter(whole, call, wait=wait), pressed=False)
        reduced = self._expected(self._cost(self._shorter(bare)), self._settings.kept)
        return Admitted(self._admission.enter(reduced, call, whole), pressed=True)

    def reduced(self, asked: ChatRequest, question: Question, call: Call) -> ChatRequest:
        """Return a cheaper request, and emit Degraded; or the same one, where being less would not be cheaper."""
        predicted = wait = self._admission.wait(self._cost(asked), call)
        fitted = asked
        for lessen in (self._narrower(question), self._shorter):
            lesser = lessen(fitted)
            eased = self._admission.wait(self._cost(lesser), call)
            if eased < wait:
                fitted, wait = lesser, eased
        if fitted is not asked:
            why = WouldMissDeadline(f"The wait for the generator is about {predicted:.1f} s.", retry_after=predicted)
            call.emit(Degraded(call.hop, REDUCED, why))
        return fitted

    def prepared(self, bare: ChatRequest, asked: ChatRequest, seconds: float) -> None:
        """Learn how long a question took until it joined the generator's queue, and what passages add to its cost."""
        self._admission.prepared(seconds)
        self._context_tokens.add(self._cost(asked).tokens - self._cost(bare).tokens)

    def answered(self, seconds: float, waited: float) -> None:
        """Learn how long an answer took to its last word, of which it `waited` so long in the queue."""
        self._takes.add(seconds)
        self._admission.answered(seconds - waited)

    def _expected(self, cost: Cost, part: float) -> Cost:
        return Cost(cost.requests, max(cost.tokens + part * self._context_tokens.value, 0.0))

    def _narrower(self, question: Question) -> Callable[[ChatRequest], ChatRequest]:
        def narrower(asked: ChatRequest) -> ChatRequest:
            count = max(math.ceil(len(asked.passages) * self._settings.kept), self._settings.fewest_passages)
            passages = asked.passages[:count]
            return prompt(question, passages, asked.max_tokens, searched=asked.question, weak=asked.weak)

        return narrower

    def _shorter(self, asked: ChatRequest) -> ChatRequest:
        fewer = max(math.ceil(asked.max_tokens * self._settings.kept), self._settings.fewest_tokens)
        return structs.replace(asked, max_tokens=min(fewer, asked.max_tokens))
