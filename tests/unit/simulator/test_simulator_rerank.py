"""The reranker in both its shapes, called without a socket on virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.simulator.relevance import Relevance

Make = Callable[..., Any]
QUERY = "How do I remove a name from a namespace?"
DOCUMENTS = [
    "Bread is baked from flour, water and salt.",
    "A namespace maps names to objects; modules have one each.",
    'The "del" statement removes the binding of a name from a namespace.',
    "",
]


async def _rerank(client: Any, **more: Any) -> Any:
    body = {"model": "any-reranker", "query": QUERY, "documents": DOCUMENTS, **more}
    return await client.post("/v2/rerank", body)


def _json(reply: Any) -> Any:
    return msgspec.json.decode(reply.body)


async def test_the_most_relevant_document_comes_first(simulated: Make) -> None:
    """What answers the query is before what shares a word, which is before what shares none."""
    client = simulated(rerank={"price_search": 2.0})
    ranked = _json(await _rerank(client))

    assert [result["index"] for result in ranked["results"]] == [2, 1, 0, 3]
    scores = [result["relevance_score"] for result in ranked["results"]]
    assert scores[0] > 0.8
    assert 0.05 < scores[1] < scores[0] - 0.2
    assert 0 < scores[3] <= scores[2] < 0.05
    assert ranked["meta"]["billed_units"] == {"search_units": 1}
    assert client.simulator.state()["surfaces"]["rerank"]["cost_usd"] == 2.0


async def test_top_n_cuts_the_results_not_the_bill(simulated: Make) -> None:
    """The best are returned; a search is 100 documents."""
    ranked = _json(await _rerank(simulated(), documents=DOCUMENTS * 30, top_n=2))

    assert [result["index"] for result in ranked["results"]] == [2, 6]
    assert ranked["meta"]["billed_units"] == {"search_units": 2}


@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=8), query=st.text(max_size=30))
def test_scores_are_between_0_and_1_and_the_same_again(texts: list[str], query: str) -> None:
    """Whatever the texts; and the order of the others does not matter."""
    first = asyncio.run(Relevance().scores(query, texts))
    turned = asyncio.run(Relevance().scores(query, texts[::-1]))

    assert all(0 < score < 1 for score in first)
    assert turned[::-1] == pytest.approx(first)


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({"documents": []}, 400, "invalid request: list of documents must not be empty"),
        ({"query": "  "}, 400, "invalid request: query must not be empty or be only whitespace"),
        ({"documents": ["a"] * 10_001}, 400, "must be less than 10000"),
        ({"top_n": 0}, 400, "top_n must be greater than 0"),
        ({"documents": "a"}, 400, "invalid request: Expected `array`"),
        ({"model": "other"}, 404, "model 'other' not found"),
    ],
)
async def test_bad_requests_say_why_in_a_message(simulated: Make, more: Any, status: int, says: str) -> None:
    """The body has one field."""
    reply = await _rerank(simulated(rerank={"models": {"any-reranker": {}}}), **more)

    assert reply.status == status
    assert list(_json(reply)) == ["message"]
    assert says in _json(reply)["message"]


async def test_requests_are_counted_a_minute(simulated: Make) -> None:
    """The call over the limit is 429, without a time to come back, and the ledger knows when it would have passed."""
    client = simulated(rerank={"rpm": 2, "latency": {"median_s": 0, "slow_share": 0}})

    replies = [await _rerank(client) for _ in range(4)]
    await asyncio.sleep(30)

    assert [reply.status for reply in replies] == [200, 200, 429, 429]
    assert "past the per minute request limit" in _json(replies[2])["message"]
    assert "retry-after" not in replies[2].headers
    assert (await _rerank(client)).status == 200
    assert client.simulator.state()["clients"]["tester"]["retries_too_early"] == 1


async def test_a_listed_model_may_have_a_limit_of_its_own(simulated: Make) -> None:
    """The others keep the surface's."""
    client = simulated(rerank={"models": {"small": {"rpm": 1}, "large": {}}})

    statuses = [(await _rerank(client, model=model)).status for model in ("small", "small", "large", "large")]

    assert statuses == [200, 429, 200, 200]


async def test_keys_are_checked_where_configured(simulated: Make) -> None:
    """Missing and wrong keys are told apart."""
    client = simulated(keys=["right"])
    body = {"model": "m", "query": QUERY, "documents": DOCUMENTS}
    tell = {"missing": {}, "wrong": {"authorization": "Bearer wrong"}, "right": {"authorization": "Bearer right"}}

    replies = {name: await client.post("/v2/rerank", body, headers) for name, headers in tell.items()}

    assert {name: reply.status for name, reply in replies.items()} == {"missing": 401, "wrong": 401, "right": 200}
    assert _json(replies["missing"]) == {"message": "no api key supplied"}
    assert _json(replies["wrong"]) == {"message": "invalid api token"}


async def test_the_self_hosted_shape_ranks_the_same(simulated: Make) -> None:
    """A list of index and score; the text and the logit when asked for."""
    client = simulated()
    body = {"query": QUERY, "texts": DOCUMENTS}

    plain = _json(await client.post("/rerank", body))
    full = _json(await client.post("/rerank", {**body, "raw_scores": True, "return_text": True}))

    hosted = _json(await _rerank(client))["results"]
    assert [(one["index"], one["score"]) for one in plain] == [(h["index"], h["relevance_score"]) for h in hosted]
    assert full[0]["text"] == DOCUMENTS[2]
    assert full[0]["score"] > 0 > full[-1]["score"]


async def test_a_self_hosted_reranker_is_overloaded_not_limited(simulated: Make) -> None:
    """Above its places in flight it refuses at once; what leaves makes room."""
    client = simulated(rerank={"max_concurrent": 2})
    body = {"query": QUERY, "texts": DOCUMENTS}

    replies = await asyncio.gather(*(client.post("/rerank", body) for _ in range(3)))

    refused = [reply for reply in replies if reply.status == 429]
    assert [_json(reply) for reply in refused] == [{"error": "Model is overloaded", "error_type": "overloaded"}]
    assert (await client.post("/rerank", body)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({"query": "q", "texts": []}, 400, "Empty"),
        ({"query": "q", "texts": ["a"] * 33}, 413, "Validation"),
        ({"query": "q"}, 422, "Validation"),
    ],
)
async def test_the_self_hosted_shape_has_its_own_errors(simulated: Make, body: Any, status: int, kind: str) -> None:
    """Error and error type."""
    reply = await simulated().post("/rerank", body)

    assert (reply.status, _json(reply)["error_type"]) == (status, kind)
