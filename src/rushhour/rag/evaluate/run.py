"""One configuration asked all questions: what it found, how long it took, what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rushhour.catalog.contract import Chunk
from rushhour.errors import RushhourError
from rushhour.flow.call import Call, Event
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.reuse import Reused
from rushhour.hops.contract import Passage
from rushhour.rag.evaluate.configuration import Configuration
from rushhour.rag.evaluate.containment import contains
from rushhour.rag.evaluate.dataset import Labelled
from rushhour.rag.evaluate.metrics import DEPTH
from rushhour.rag.receipt import Receipt
from rushhour.rag.retrieval.retrieve import SPARE

Ranked = Sequence[tuple[Chunk, float]]
Pack = Callable[[str, Ranked, int], Awaitable[Sequence[Passage]]]
"""Collection, ranked chunks, number of passages → what a generator would read."""


class Ranks(Protocol):
    """What is evaluated: `Retriever` is one."""

    async def ranked(
        self, collection: str, question: str, call: Call, *, limit: int, ranking: str, rerank: bool
    ) -> Ranked:
        """Return chunks with their scores, best first."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """What all configurations have in common.

    `limit` chunks are ranked for a question, of which at most `top_k` passages are packed; `at_once` questions are
    under way at any moment.
    """

    retriever: Ranks
    pack: Pack
    collection: str
    limit: int
    top_k: int
    at_once: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What one question brought: ids of documents, best first, each scored by its best chunk.

    `seconds` is what ranking and packing took; `holds_answer` is None for a question without known answers;
    `degraded` says in what way it was less than was asked for, `reused` that its vector came from a cache.
    """

    documents: tuple[str, ...]
    seconds: float
    holds_answer: bool | None
    degraded: tuple[str, ...] = ()
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """A configuration and its replies, in the order of the questions; `hops` is what each hop did for all of them."""

    configuration: Configuration
    replies: tuple[Reply, ...]
    hops: Mapping[str, Mapping[str, Any]]


async def warm_up(setup: Setup, configuration: Configuration, question: Labelled) -> None:
    """Ask one question, unmeasured: models are loaded by it, and what is missing is told before much is spent.

    Raises what kept it from being answered as was asked for, even where an answer would go on with less.
    """
    _reply, degraded = await _ask(setup, configuration, question, Receipt())
    if degraded:
        raise degraded[0].cause


async def run(
    setup: Setup,
    configuration: Configuration,
    questions: Sequence[Labelled],
    on_reply: Callable[[], None] = lambda: None,
) -> Trial:
    """Ask all questions, `setup.at_once` at a time.

    Raises the first RushhourError that a question meets: figures over fewer questions would not compare.
    """
    receipt = Receipt()
    replies: dict[int, Reply] = {}
    waiting = iter(range(len(questions)))

    async def work(places: Iterator[int]) -> None:
        for place in places:
            replies[place], _degraded = await _ask(setup, configuration, questions[place], receipt)
            on_reply()

    failures: list[BaseException] = []
    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(setup.at_once, len(questions))):
                workers.create_task(work(waiting))
    except* RushhourError as several:
        failures.extend(several.exceptions)
    if failures:
        raise failures[0]
    return Trial(configuration, tuple(replies[place] for place in range(len(questions))), receipt.as_json()["hops"])


async def _ask(
    setup: Setup, configuration: Configuration, question: Labelled, receipt: Receipt
) -> tuple[Reply, list[Degraded]]:
    clock = asyncio.get_running_loop().time
    degraded: list[Degraded] = []
    reused: list[Reused] = []

    def note(event: Event) -> None:
        receipt.record(event)
        if isinstance(event, Degraded):
            degraded.append(event)
        elif isinstance(event, Reused):
            reused.append(event)

    begun = clock()
    ranked = await setup.retriever.ranked(
        setup.collection,
        question.text,
        Call("evaluation", emit=note),
        limit=setup.limit,
        ranking=configuration.ranking,
        rerank=configuration.rerank,
    )
    passages = await setup.pack(setup.collection, ranked[: SPARE * setup.top_k], setup.top_k)
    seconds = clock() - begun
    documents = tuple(dict.fromkeys(chunk.file for chunk, _score in ranked))[:DEPTH]
    holds = contains((passage.text for passage in passages), question.answers) if question.answers else None
    labels = tuple(dict.fromkeys(event.label for event in degraded))
    return Reply(documents, seconds, holds, labels, bool(reused)), degraded
