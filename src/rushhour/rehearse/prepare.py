"""Before the days: the manual is ingested by every pipeline, and questions are chosen that can be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec

from rushhour.errors import InvalidRequest
from rushhour.rehearse.corpus import Document
from rushhour.rehearse.pipelines import Pipeline
from rushhour.rehearse.processes import ChildFailed
from rushhour.rehearse.provider import Account, Provider
from rushhour.rehearse.questions import Question, make_questions
from rushhour.rehearse.results import Ingestion
from rushhour.rehearse.scenario import Scenario
from rushhour.rehearse.vetting import answerable

_SPARE = 1.25
"""Candidates a wanted question: about one in ten does not survive the check."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions of both days; none of the manual's is asked on both."""

    friday: Sequence[Question] = ()
    monday: Sequence[Question] = ()


async def ingest(provider: Provider, pipeline: Pipeline, folder: Path) -> Ingestion:
    """Let a pipeline fill its namespace; raises ChildFailed, naming the process and the end of its log."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with pipeline.ingesting(folder) as child:
        async with child.measured() as used:
            said = await child.last_line()
            await child.finish()
        seconds = loop.time() - began
    account = Account(await provider.state(), pipeline.name)
    told = _object(said)
    return Ingestion(
        pipeline=pipeline.name,
        seconds=round(seconds, 2),
        chunks=told.get("chunks", account.embedded),
        lost=told.get("lost", 0),
        embedding_calls=account.calls.embeddings,
        vector_calls=account.calls.vectors,
        throttled=account.throttled,
        tokens=account.tokens,
        cost_usd=round(account.cost_usd, 6),
        cpu_s=round(used.cpu_s, 2),
        at_once=pipeline.at_once,
    )


async def choose_questions(provider: Provider, corpus: Sequence[Document], scenario: Scenario, vet: bool) -> Asked:
    """Return questions about the manual; to `vet` them leaves those that a plain pipeline answers on a quiet day.

    Raises ChildFailed when the provider cannot be asked about them.
    """
    candidates = await asyncio.to_thread(make_questions, corpus, scenario.seed)
    wanted = min(scenario.questions, scenario.users) + scenario.friday_users
    if not vet:
        return _split(candidates[:wanted], scenario.friday_users)
    try:
        found = await answerable(provider.url, candidates[: int(wanted * _SPARE) + 10], wanted)
    except aiohttp.ClientError as cause:
        raise ChildFailed(f"The simulated provider could not be asked about the questions: {cause!r}") from cause
    return _split(found, scenario.friday_users)


def read_questions(path: Path) -> tuple[Question, ...]:
    """Read one question a line, perhaps with a tab and the sentence that an answer must quote.

    Raises InvalidRequest, naming the file and the remedy.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as cause:
        told = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise InvalidRequest(f"The questions {path} cannot be read: {told}.", param="--questions") from None
    pairs = [line.partition("\t") for line in lines if line.strip()]
    if not pairs:
        raise InvalidRequest(f"The file {path} holds no question; write one a line.", param="--questions")
    return tuple(Question("", text.strip(), gold.strip()) for text, _, gold in pairs)


def _split(questions: Sequence[Question], friday: int) -> Asked:
    return Asked(questions[:friday], questions[friday:])


def _object(line: bytes) -> dict[str, int]:
    try:
        return msgspec.json.decode(line, type=dict[str, int])
    except msgspec.MsgspecError:
        return {}
