"""Rerankers over HTTP, in both shapes, against a provider in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.errors import MalformedReply, Rejected, Throttled, TooLarge, Unauthorized
from rushhour.flow.call import Call, Event
from rushhour.hops.cohere_rerank import CohereRerank
from rushhour.hops.contract import RerankRequest, Usage, Used
from rushhour.hops.tei_rerank import TeiRerank
from rushhour.hops.transport import Reply

REQUEST = RerankRequest("who?", ("one", "two", "three"))
SHAPES: list[tuple[Callable[..., Any], Callable[[list[tuple[int, float]]], Any]]] = [
    (CohereRerank, lambda ranks: {"results": [{"index": i, "relevance_score": s} for i, s in ranks]}),
    (TeiRerank, lambda ranks: [{"index": i, "score": s} for i, s in ranks]),
]
both = pytest.mark.parametrize(("adapter", "shape"), SHAPES, ids=["cohere", "tei"])


def ok(content: Any) -> Reply:
    """Answer in JSON."""
    return Reply(200, {}, msgspec.json.encode(content))


@both
async def test_scores_come_back_in_the_order_of_the_texts(adapter: Any, shape: Any, provider: Any) -> None:
    """Providers answer best first; what is outside 0 to 1 is cut."""
    transport = provider(ok(shape([(2, 1.25), (0, 0.5), (1, 0.0)])))

    assert await adapter(transport, "m")(REQUEST, Call()) == [0.5, 0.0, 1.0]
    assert transport.sent[0].path == "/rerank"
    assert transport.sent[0].json["query"] == "who?"


async def test_coheres_body_and_bill(provider: Any) -> None:
    """All texts are wanted back, and searches are what is charged."""
    content = {
        "results": [{"index": i, "relevance_score": 0.1 * i} for i in range(3)],
        "meta": {"billed_units": {"search_units": 2}},
    }
    seen: list[Event] = []
    transport = provider(ok(content))
    await CohereRerank(transport, "rerank-v3.5", 7.0)(REQUEST, Call(hop="rerank", emit=seen.append))

    assert transport.sent[0].json == {
        "model": "rerank-v3.5",
        "query": "who?",
        "documents": ["one", "two", "three"],
        "top_n": 3,
    }
    assert transport.sent[0].timeout == 7.0
    assert seen[-1] == Used("rerank", "rerank-v3.5", Usage(searches=2))


async def test_teis_body_and_bill(provider: Any) -> None:
    """Texts that are too long are cut there rather than refused; one call is one search."""
    seen: list[Event] = []
    transport = provider(ok([{"index": i, "score": 0.1} for i in range(3)]))
    await TeiRerank(transport, "tei")(REQUEST, Call(hop="rerank", emit=seen.append))

    assert transport.sent[0].json == {"query": "who?", "texts": ["one", "two", "three"], "truncate": True}
    assert seen == [Used("rerank", "tei", Usage(searches=1))]


@both
@pytest.mark.parametrize(
    "ranks", [[], [(0, 0.1), (1, 0.2)], [(0, 0.1), (0, 0.2), (1, 0.3)], [(0, 0.1), (1, 0), (3, 0)]]
)
async def test_a_ranking_that_is_not_of_these_texts_is_malformed(
    adapter: Any, shape: Any, ranks: list[tuple[int, float]], provider: Any
) -> None:
    """Some are missing, twice there, or of another request."""
    with pytest.raises(MalformedReply, match="of 3 texts"):
        await adapter(provider(ok(shape(ranks))), "m")(REQUEST, Call())


@both
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'"x"', b"\xff"])
async def test_another_reply_is_malformed(adapter: Any, shape: Any, body: bytes, provider: Any) -> None:
    """200, but not what the API promises."""
    with pytest.raises(MalformedReply, match=r"api\.test"):
        await adapter(provider(Reply(200, {}, body)), "m")(REQUEST, Call())


@both
@pytest.mark.parametrize(("status", "error"), [(401, Unauthorized), (404, Rejected), (429, Throttled)])
async def test_refusals_are_mapped(adapter: Any, shape: Any, status: int, error: type, provider: Any) -> None:
    """As those of every provider."""
    body = b'{"message": "you are past the per minute request limit"}'
    with pytest.raises(error):
        await adapter(provider(Reply(status, {}, body)), "m")(REQUEST, Call())


@both
async def test_sizes_are_the_adapters_to_respect(adapter: Any, shape: Any, provider: Any) -> None:
    """Nothing is sent for nothing, and too much is refused before it is sent."""
    silent = provider()
    assert await adapter(silent, "m")(RerankRequest("q", ()), Call()) == []
    with pytest.raises(TooLarge, match="takes 2"):
        await adapter(silent, "m", max_texts=2)(REQUEST, Call())
    assert silent.sent == []
