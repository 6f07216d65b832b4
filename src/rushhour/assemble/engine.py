"""The engine: retrieval and generation, admitted by the generator's queue, with a memory of what it answered."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rushhour.assemble.chat import Generator
from rushhour.assemble.ground import Ground
from rushhour.flow.admission import Admission
from rushhour.flow.shared_tier import SharedTier
from rushhour.hops.extractive import Extractive
from rushhour.rag.answering.answer import Answerer, AnswerSettings
from rushhour.rag.answering.answer_reuse import AnswerReuse
from rushhour.rag.answering.answers import KeptAnswer, KeptAnswers, decode_answer, encode_answer
from rushhour.rag.answering.condense import Condenser
from rushhour.rag.answering.confidence import Confidence
from rushhour.rag.answering.pressure import Pressure, PressureSettings
from rushhour.rag.contract import Ask
from rushhour.rag.receipt import Price
from rushhour.rag.retrieval.retrieve import Retriever
from rushhour.settings import Settings


def pressure_at(generator: Generator, settings: Settings) -> Pressure:
    """Return what admits questions by the generator's queue, and knows how long its answers take."""
    reduce = PressureSettings() if settings.queue.reduce else PressureSettings(tolerated=math.inf)
    return Pressure(Admission(*generator.queues), generator.cost, reduce)


def engine(
    retrieve: Retriever,
    generator: Generator,
    pressure: Pressure,
    embedder: str,
    prices: Mapping[str, Price],
    ground: Ground,
) -> Ask:
    """Return what every door asks; `embedder` names what questions are embedded with, `prices` are its own."""
    settings = ground.settings
    quoting = settings.chat.provider == "extractive"
    kept = _kept(retrieve, generator, embedder, ground) if settings.answers.reuse else None
    answerer = Answerer(
        retrieve,
        generator.hop,
        generator.model,
        {**prices, **generator.prices},
        AnswerSettings(max_tokens=settings.chat.max_tokens),
        pressure=pressure,
        kept=kept,
        last_resort=None if quoting else Extractive(),
        condense=Condenser(None if quoting or not settings.answers.condense else generator.hop),
        judge=None if settings.answers.confidence == 0 else Confidence(embedder, settings.answers.confidence),
    )
    if kept is None:
        return answerer
    reuse = AnswerReuse(answerer, kept)
    ground.closing.push_async_callback(reuse.aclose)
    return reuse


def _kept(retrieve: Retriever, generator: Generator, embedder: str, ground: Ground) -> KeptAnswers:
    """Keep answers by everything that shapes them."""
    settings = ground.settings
    chat, retrieval, rerank = settings.chat, settings.retrieval, settings.rerank
    shaped_by = (
        chat.provider, chat.base_url, generator.model, chat.max_tokens,
        embedder, retrieval.top_k, retrieval.candidates, retrieval.context_tokens, retrieval.ranking,
        rerank.provider, rerank.base_url, rerank.model, rerank.model_dir, rerank.candidates, rerank.weight,
        settings.answers.confidence, settings.answers.condense,
    )  # fmt: skip
    shared: SharedTier[KeptAnswer] | None = None
    if ground.ledger is not None:
        shared = SharedTier(
            ground.ledger.cache("answer"),
            lambda key: b"answer:" + key if isinstance(key, bytes) else repr(key).encode(),
            encode_answer,
            decode_answer,
            settings.answers.keep_s,
            hop="answer",
            watch=ground.watch,
        )
        ground.closing.push_async_callback(shared.aclose)
    answers = settings.answers
    return KeptAnswers(retrieve.edition, "|".join(map(str, shaped_by)), answers.cache, answers.ttl_s, shared)
