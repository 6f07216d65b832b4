"""Rules 11 and 12: nothing is paid for twice, and a lesser answer that says so comes before a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rushhour.errors import QuotaExhausted, Unavailable, WouldMissDeadline
from rushhour.flow.admission import Admission
from rushhour.flow.batch import Batch
from rushhour.flow.call import Call, named, stack
from rushhour.flow.ledger.contract import Cost
from rushhour.flow.ledger.memory import Limits, MemoryQuota
from rushhour.flow.policies.deadline import Deadline
from rushhour.flow.policies.pace import Pace
from rushhour.flow.policies.reuse import LruCache, Reuse
from rushhour.hops.contract import ChatRequest, Text
from rushhour.hops.extractive import Extractive
from rushhour.rag.answering.answer import Answerer
from rushhour.rag.answering.answer_reuse import AnswerReuse
from rushhour.rag.answering.answers import KeptAnswers
from rushhour.rag.answering.pressure import Pressure
from rushhour.rag.contract import Answer, Ask, Question
from rushhour.testing import Scripted

Make = Callable[..., Any]

VECTOR = np.ones(4, dtype=np.float32) / 2
WHAT = Question("manual", "What does the with statement wrap?")
DOWN = Unavailable("down")


async def answer(ask: Ask, tenant: str = "acme", patience: float = 30.0, question: Question = WHAT) -> Answer:
    """Ask and read to the end."""
    deadline = asyncio.get_running_loop().time() + patience
    async with await ask(question, Call(tenant, deadline)) as stream:
        *_, last = [piece async for piece in stream]
    assert isinstance(last, Answer)
    return last


async def test_rule_11_a_text_is_embedded_once() -> None:
    """Whoever asks the same joins the call in flight, or finds the reply kept."""
    provider = Scripted(VECTOR, seconds=1.0)
    embed = stack(provider, Deadline(), Reuse(lambda text, _call: text.text, LruCache(10)))

    vectors = await asyncio.gather(*(embed(Text("what is with?"), Call(f"t{n}", 30.0)) for n in range(10)))
    vectors.append(await embed(Text("what is with?"), Call("late", 30.0)))

    assert all(vector is VECTOR for vector in vectors)
    assert provider.asked_at == [0]


async def test_rule_11_queries_that_wait_at_the_same_moment_share_one_call() -> None:
    """A hundred different questions at one call a second are two calls, not a hundred."""
    provider = Scripted(lambda texts: [VECTOR] * len(texts), forever=True)

    def cost(parcel: Any) -> Cost:
        return batch.parcel_cost(parcel)

    pace = Pace(MemoryQuota(Limits(requests_per_minute=60, burst_s=1)), cost, grows=True)
    batch: Batch[Text, Any] = Batch(
        provider, pace, max_items=256, max_size=300_000, size=lambda text: len(text.text) / 4, spacing_s=0.075
    )

    await asyncio.gather(*(batch(Text(f"question {n}"), Call(f"t{n % 7}", 30.0)) for n in range(100)))

    assert sum(len(texts) for texts in provider.requests) == 100
    assert len(provider.requests) <= 2


async def test_rule_11_an_answer_is_generated_once_a_tenant(library: Make, written: Make) -> None:
    """Ten equal questions of a tenant are one generation; another tenant's private words are never reused."""
    chat = Scripted(written("A block [1]."), seconds=1.0, forever=True)
    retrieve = library()
    kept = KeptAnswers(retrieve.edition, "m")
    ask = AnswerReuse(Answerer(retrieve, chat, "m", {}), kept)

    together = await asyncio.gather(*(answer(ask) for _ in range(9)))
    later = await answer(ask)
    assert len(chat.asked_at) == 1
    await answer(ask, tenant="rival")

    assert len(chat.asked_at) == 2
    assert {one.text for one in [*together, later]} == {"A block [1]."}
    assert later.usage.output_tokens == 0
    await ask.aclose()


async def test_rule_12_without_the_embedder_the_answer_is_lexical_and_says_so(library: Make, written: Make) -> None:
    """An outage is not an empty library: passages are found by their words."""
    ask = Answerer(library(Scripted(DOWN)), Scripted(written("A block [1].")), "m", {})

    said = await answer(ask)

    assert said.receipt["degraded"] == ["lexical_only"]
    assert [passage.chunk_id for passage in said.passages] == ["a", "b"]


async def test_rule_12_the_next_model_answers_and_is_named(guarded: Make, library: Make, written: Make) -> None:
    """A model that is down or out of money is replaced, and the receipt says that it was."""
    first = guarded(Scripted(QuotaExhausted("no money")), others=[("fallback_model", Scripted(written("So [1].")))])
    ask = Answerer(library(), first.hop, "m", {})

    said = await answer(ask)

    assert said.text == "So [1]."
    assert said.receipt["degraded"] == ["fallback_model"]


async def test_rule_12_without_any_model_an_answer_of_before_stands_in(library: Make, written: Make) -> None:
    """However old: it was true of the same collection, and it is labelled."""
    chat = Scripted(written("A block [1]."), DOWN)
    retrieve = library()
    clock = [0]
    kept = KeptAnswers(retrieve.edition, "m", ttl_s=60.0, now=lambda: clock[0])
    ask = AnswerReuse(Answerer(retrieve, chat, "m", {}, kept=kept, last_resort=Extractive()), kept)
    await answer(ask)
    clock[0] += 3_600

    said = await answer(ask)

    assert said.text == "A block [1]."
    assert said.receipt["degraded"] == ["cached_answer"]
    await ask.aclose()


async def test_rule_12_without_any_model_the_passages_are_quoted(library: Make) -> None:
    """The last resort needs nobody: quotations with their sources, and the label."""
    ask = Answerer(library(), Scripted(DOWN), "m", {}, last_resort=Extractive())

    said = await answer(ask)

    assert "The with statement wraps a block. [1]" in said.text
    assert said.receipt["degraded"] == ["extractive"]


@pytest.mark.parametrize("embeds", [True, False])
async def test_rule_12_an_error_is_never_told_as_nothing_found(library: Make, embeds: bool) -> None:
    """With no model and no last resort, the error itself is what the caller gets."""
    ask = Answerer(library(Scripted(VECTOR if embeds else DOWN)), Scripted(DOWN), "m", {})

    with pytest.raises(Unavailable):
        await answer(ask)


async def test_rule_12_a_rush_shortens_answers_before_it_refuses_anyone(
    guarded: Make, library: Make, written: Make
) -> None:
    """Where tokens are scarce and the queue presses, less is asked of the model; a refusal is what comes after that."""

    def cost(request: Any) -> Cost:
        return Cost(1.0, float(request.max_tokens))

    provider = Scripted(written("A block [1]."), forever=True)
    chat = guarded(provider, Limits(tokens_per_minute=60_000, burst_s=1), cost=cost)
    pressure = Pressure(Admission(chat.pace), cost)
    ask = Answerer(library(), chat.hop, "m", {}, pressure=pressure)
    wordy = Question("manual", WHAT.text, max_tokens=1_000)
    rush = [asyncio.ensure_future(chat.ask(ChatRequest((), 1_000))) for _ in range(12)]
    await asyncio.sleep(0)

    said = await answer(ask, patience=20.0, question=wordy)
    assert said.receipt["degraded"] == ["reduced"]
    assert provider.requests[-1].max_tokens < 1_000

    await asyncio.gather(*rush)
    rush = [asyncio.ensure_future(chat.ask(ChatRequest((), 1_000))) for _ in range(60)]
    await asyncio.sleep(0)
    with pytest.raises(WouldMissDeadline):
        await answer(ask, patience=20.0, question=wordy)
    await asyncio.gather(*rush)


async def test_rule_12_the_receipt_counts_what_an_answer_took(guarded: Make, library: Make, written: Make) -> None:
    """Waits and retries are in it, by hop."""
    chat = guarded(Scripted(Unavailable(), written("So [1].")), Limits(requests_per_minute=60, burst_s=1, use=1.0))
    ask = Answerer(library(), named(chat.hop, "chat"), "m", {})

    said = await answer(ask)

    assert said.receipt["retries"] == 1
    assert said.receipt["hops"]["chat"]["waited_s"] > 0.5
