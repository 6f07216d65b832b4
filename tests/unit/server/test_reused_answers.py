"""Reuse as a client sees it: the whole application round an engine with a memory, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rushhour.flow.call import Call
from rushhour.flow.stream import Stream
from rushhour.hops.contract import Passage, Usage
from rushhour.rag.answering.answer_reuse import AnswerReuse
from rushhour.rag.answering.answers import KeptAnswers
from rushhour.rag.contract import Answer, Delta, Piece, Question, Sources
from rushhour.server.app import create_app
from rushhour.server.options import ServerOptions
from rushhour.telemetry.metrics import Metrics

PASSAGE = Passage(1, "manual/with.txt/00-1", "With wraps.", "With", "python:with")


class Engine:
    """Writes a word a second, and counts its answers."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    async def __call__(self, request: Question, call: Call) -> Stream[Piece]:
        self.asked.append(request)
        number = len(self.asked)
        await asyncio.sleep(1)
        return Stream(self._pieces(number))

    async def _pieces(self, number: int) -> AsyncIterator[Piece]:
        yield Sources((PASSAGE,))
        yield Delta("It wraps ")
        await asyncio.sleep(1)
        yield Delta(f"({number}).")
        receipt: dict[str, Any] = {"cost_usd": 0.01, "reused": None, "degraded": []}
        yield Answer(f"It wraps ({number}).", (), (PASSAGE,), "stop", "small", Usage(90, 0, 10), receipt)


async def edition(_collection: str) -> int:
    """Know every collection."""
    return 1


class House:
    """An application, and how to ask it."""

    def __init__(self) -> None:
        async def ready() -> dict[str, str]:
            return {}

        self.engine = Engine()
        nothing: Any = None
        ask = AnswerReuse(self.engine, KeptAnswers(edition, "small"))
        self._app = create_app(ask, nothing, ServerOptions(), Metrics(), ready)

    async def ask(self, *headers: tuple[bytes, bytes], stream: bool = False) -> list[tuple[float, bytes]]:
        """Return what came back when."""
        said: list[tuple[float, bytes]] = []
        body = {"model": "manual", "messages": [{"role": "user", "content": "Why?"}], "stream": stream}
        sent = False

        async def receive() -> Any:
            nonlocal sent
            if sent:
                await asyncio.get_running_loop().create_future()
            sent = True
            return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                said.append((asyncio.get_running_loop().time(), message["body"]))

        path = "/v1/chat/completions"
        scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers), "query_string": b""}
        await self._app(scope, receive, send)
        return said


def whole(said: list[tuple[float, bytes]]) -> Any:
    """Read a reply that was not streamed."""
    return json.loads(said[-1][1])


async def test_the_receipt_and_the_usage_say_that_an_answer_was_reused() -> None:
    """The second asker gets the same text for nothing."""
    house = House()
    first, second = whole(await house.ask()), whole(await house.ask())

    assert second["choices"] == first["choices"]
    assert (first["rushhour"]["reused"], second["rushhour"]["reused"]) == (None, "cache")
    assert (first["usage"]["total_tokens"], second["usage"]["total_tokens"]) == (100, 0)
    assert second["rushhour"]["cost_usd"] == 0
    assert len(house.engine.asked) == 1


@pytest.mark.parametrize("directive", [b"no-store", b"no-cache"])
async def test_cache_control_gets_an_answer_of_its_own(directive: bytes) -> None:
    """Neither from the cache, nor from a question in flight, nor for others later."""
    house = House()
    header = (b"cache-control", directive)
    await house.ask()
    anew = [whole(said) for said in await asyncio.gather(house.ask(header), house.ask(header))]
    later = whole(await house.ask())

    assert sorted(one["choices"][0]["message"]["content"] for one in anew) == ["It wraps (2).", "It wraps (3)."]
    assert [one["rushhour"]["reused"] for one in anew] == [None, None]
    assert later["choices"][0]["message"]["content"] == "It wraps (1)."
    assert [question.fresh for question in house.engine.asked] == [False, True, True]


async def test_a_stream_that_joins_late_catches_up_and_follows() -> None:
    """The first words are sent at once, the rest as it comes, and it ends as every stream."""
    house = House()
    first = asyncio.ensure_future(house.ask(stream=True))
    await asyncio.sleep(1.5)

    late = await house.ask(stream=True)

    assert [at for at, _ in late] == [1.5, 2, 2]
    assert b'"content":"It wraps "' in late[0][1]
    assert late[-1][1].endswith(b"data: [DONE]\n\n")
    assert b'"reused":"in_flight"' in late[-1][1]
    assert b'"reused":null' in (await first)[-1][1]
