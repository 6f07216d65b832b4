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

    def presses(self, bare: ChatRequest, call: Call) -> bool:
        """Whether a prompt that has no passages yet would wait so long that it should be reduced.

        To be asked at the door: later, the promises of those who came after count too.
        """
        left = call.deadline - asyncio.get_running_loop().time()
        return self._admission.wait(self._expected(bare, 1.0), call) > self._settings.tolerated * left

    def admit(self, bare: ChatRequest, call: Call, *, pressed: bool) -> AbstractContextManager[None]:
        """Promise the prompt a place, to be held until it joins the queue.

        Raises WouldMissDeadline when it would come too late, a `pressed` one even if it is reduced.
        """
        whole = self._expected(bare, 1.0)
        if pressed:
            return self._admission.enter(self._expected(self._shorter(bare), self._settings.kept), call, whole)
        return self._admission.enter(whole, call)

    def learn(self, bare: ChatRequest, asked: ChatRequest) -> None:
        """Learn what the passages add to a prompt's cost."""
        self._context_tokens.add(self._cost(asked).tokens - self._cost(bare).tokens)

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

    def prepared(self, seconds: float) -> None:
        """Learn how long a question takes until it joins the generator's queue."""
        self._admission.prepared(seconds)

    def answered(self, seconds: float, waited: float) -> None:
        """Learn how long an answer took to its last word, of which it `waited` so long in the queue."""
        self._takes.add(seconds)
        self._admission.answered(seconds - waited)

    def _expected(self, bare: ChatRequest, part: float) -> Cost:
        cost = self._cost(bare)
        return Cost(cost.requests, cost.tokens + part * self._context_tokens.value)

    def _narrower(self, question: Question) -> Callable[[ChatRequest], ChatRequest]:
        def narrower(asked: ChatRequest) -> ChatRequest:
            count = max(math.ceil(len(asked.passages) * self._settings.kept), self._settings.fewest_passages)
            passages = asked.passages[:count]
            return prompt(question, passages, asked.max_tokens, searched=asked.question, weak=asked.weak)

        return narrower

    def _shorter(self, asked: ChatRequest) -> ChatRequest:
        fewer = max(math.ceil(asked.max_tokens * self._settings.kept), self._settings.fewest_tokens)
        return structs.replace(asked, max_tokens=min(fewer, asked.max_tokens))
