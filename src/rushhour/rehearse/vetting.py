"""Keep only questions that a plain dense pipeline can answer on a quiet day.

A question is kept when the nearest chunks of the naive namespace, found as the naive pipeline finds them, hold its
whole gold. So whatever goes wrong on Monday goes wrong because of Monday.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from rushhour.rehearse.judge import quotes
from rushhour.rehearse.pipelines import EMBED_MODEL, NAIVE_NAMESPACE, TOP_K
from rushhour.rehearse.questions import Question

_AT_ONCE = 4
_EMBED_ATTEMPTS = 5
_HEADERS = {"authorization": "Bearer preparation", "api-key": "preparation"}


async def answerable(url: str, candidates: Sequence[Question], wanted: int) -> list[Question]:
    """Return up to `wanted` of the candidates, in their order; one that cannot be checked is passed over.

    Raises aiohttp.ClientError when the provider cannot be asked at all.
    """
    kept: dict[int, Question] = {}
    async with aiohttp.ClientSession(headers=_HEADERS) as session:
        vectors = await _embed(session, url, [question.text for question in candidates])
        queue = iter(enumerate(zip(candidates, vectors, strict=True)))

        async def work() -> None:
            for n, (question, vector) in queue:
                if len(kept) >= wanted:
                    return
                if await _holds(session, url, question, vector):
                    kept[n] = question

        async with asyncio.TaskGroup() as workers:
            for _ in range(_AT_ONCE):
                workers.create_task(work())
    return [kept[n] for n in sorted(kept)][:wanted]


async def _embed(session: aiohttp.ClientSession, url: str, texts: Sequence[str]) -> list[list[float]]:
    for attempt in range(1, _EMBED_ATTEMPTS + 1):
        try:
            async with session.post(f"{url}/v1/embeddings", json={"model": EMBED_MODEL, "input": texts}) as response:
                response.raise_for_status()
                return [item["embedding"] for item in (await response.json())["data"]]
        except aiohttp.ClientError:  # the simulated provider fails now and then, on purpose
            if attempt == _EMBED_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


async def _holds(session: aiohttp.ClientSession, url: str, question: Question, vector: Sequence[float]) -> bool:
    body = {"namespace": NAIVE_NAMESPACE, "vector": vector, "topK": TOP_K, "includeMetadata": True}
    try:
        async with session.post(f"{url}/query", json=body) as response:
            response.raise_for_status()
            matches = (await response.json())["matches"]
    except aiohttp.ClientError:
        return False
    return any(quotes(match["metadata"]["text"], question.gold) for match in matches)
