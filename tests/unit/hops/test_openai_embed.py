"""The embedding adapter against a scripted provider."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from rushhour.errors import MalformedReply, Throttled, TooLarge
from rushhour.flow.call import Call, Event
from rushhour.hops.contract import Text, Usage, Used
from rushhour.hops.limit_headers import LimitsSeen
from rushhour.hops.openai_embed import OpenAIEmbed
from rushhour.hops.transport import Reply

Provider = Callable[..., Any]
BodyOf = Callable[..., Reply]
TWO = [Text("one"), Text("two", "query")]


def encoded(*numbers: float) -> str:
    """Encode a vector as the API does: base64 of little-endian float32."""
    return base64.b64encode(np.array(numbers, dtype="<f4").tobytes()).decode()


def reply_of(*vectors: Any, indexes: list[int] | None = None, usage: Any = None) -> dict[str, Any]:
    """Write an embeddings reply."""
    places = range(len(vectors)) if indexes is None else indexes
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in zip(places, vectors, strict=True)]
    return {
        "object": "list",
        "data": data,
        "model": "m-0125",
        "usage": usage or {"prompt_tokens": 7, "total_tokens": 7},
    }


async def test_asks_for_base64_and_returns_unit_vectors_in_order(provider: Provider, body_of: BodyOf) -> None:
    """The reply's order does not matter, its index does; usage and limits are told."""
    seen: list[Event] = []
    body = reply_of(encoded(0, 2), encoded(3, 4), indexes=[1, 0])
    api = provider(body_of(body, x_ratelimit_limit_requests="60"))

    vectors = await OpenAIEmbed(api, "m", timeout_s=5)(TWO, Call(emit=seen.append, hop="embed"))

    assert [v.tolist() for v in vectors] == [pytest.approx([0.6, 0.8]), [0.0, 1.0]]
    assert {v.dtype for v in vectors} == {np.dtype(np.float32)}
    assert api.sent[0].path == "/embeddings"
    assert api.sent[0].timeout == 5
    assert api.sent[0].json == {"model": "m", "input": ["one", "two"], "encoding_format": "base64"}
    assert isinstance(seen[0], LimitsSeen)
    assert seen[1] == Used("embed", "m", Usage(input_tokens=7))


async def test_takes_plain_numbers_too(provider: Provider, body_of: BodyOf) -> None:
    """Some servers ignore the encoding that was asked for, and leave index and usage out."""
    seen: list[Event] = []
    api = provider(body_of({"data": [{"embedding": [3.0, 4.0]}, {"embedding": [1, 0]}]}))

    vectors = await OpenAIEmbed(api, "m")(TWO, Call(emit=seen.append))

    assert [v.tolist() for v in vectors] == [pytest.approx([0.6, 0.8]), [1.0, 0.0]]
    assert seen == [Used("", "m", Usage(input_tokens=2))]


async def test_a_vector_does_not_keep_its_batch_alive(provider: Provider, body_of: BodyOf) -> None:
    """Each vector owns its memory: a cached one must not hold thousands of others."""
    vectors = await OpenAIEmbed(provider(body_of(reply_of(encoded(1, 0), encoded(0, 1)))), "m")(TWO, Call())
    assert all(vector.base is None for vector in vectors)


async def test_sends_dimensions_only_when_given(provider: Provider, body_of: BodyOf) -> None:
    """Models that cannot shorten their vectors refuse the parameter."""
    api = provider(body_of(reply_of(encoded(1, 0), encoded(0, 1))))
    await OpenAIEmbed(api, "m", 2)(TWO, Call())
    assert api.sent[0].json["dimensions"] == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (reply_of(encoded(1, 0)), "1 vectors came back for 2 texts"),
        (reply_of(encoded(1, 0), encoded(0, 1), indexes=[0, 0]), "indexes"),
        (reply_of(encoded(1, 0), encoded(0, 1), indexes=[1, 2]), "indexes"),
        (reply_of(encoded(1, 0), encoded(0, 1, 0)), "3 dimensions instead of 2"),
        (reply_of(encoded(1, 0), ""), "0 dimensions instead of 2"),
        (reply_of("", ""), "0 dimensions"),
        (reply_of(encoded(1, 0), encoded(float("nan"), 1)), "NaN"),
        (reply_of(encoded(1, 0), encoded(float("inf"), 1)), "infinity"),
        (reply_of([1, 0], [1e300, 1]), "infinity"),
        (reply_of(encoded(1, 0), encoded(0, 0)), "zeros"),
        (reply_of(encoded(1, 0), "AAAAAAA="), "4-byte floats"),
        (reply_of(encoded(1, 0), "!!!"), "not what the embeddings API promises"),
        ({"data": "none"}, "not what the embeddings API promises"),
        ([], "not what the embeddings API promises"),
    ],
)
async def test_a_wrong_reply_is_malformed(provider: Provider, body_of: BodyOf, body: Any, said: str) -> None:
    """Count, order, dimensions and numbers are checked before anybody stores them."""
    with pytest.raises(MalformedReply, match=said):
        await OpenAIEmbed(provider(body_of(body)), "m")(TWO, Call())


async def test_other_dimensions_than_asked_for_are_malformed(provider: Provider, body_of: BodyOf) -> None:
    """The message names the setting."""
    embed = OpenAIEmbed(provider(body_of(reply_of(encoded(1, 0), encoded(0, 1)))), "m", 3)
    with pytest.raises(MalformedReply, match="RUSHHOUR_TEST__DIMENSIONS"):
        await embed(TWO, Call())


async def test_a_page_of_html_is_malformed(provider: Provider) -> None:
    """A captive portal answers 200 as well."""
    with pytest.raises(MalformedReply):
        await OpenAIEmbed(provider(Reply(200, {}, b"<html>Sign in</html>")), "m")(TWO, Call())


async def test_a_refusal_is_mapped_and_its_limits_are_told(provider: Provider, body_of: BodyOf) -> None:
    """Also a 429 states limits."""
    seen: list[Event] = []
    refusal = body_of({"error": {"message": "slow"}}, 429, retry_after="2", x_ratelimit_remaining_requests="0")
    with pytest.raises(Throttled) as caught:
        await OpenAIEmbed(provider(refusal), "m")(TWO, Call(emit=seen.append))
    assert caught.value.retry_after == 2
    assert [type(event) for event in seen] == [LimitsSeen]


async def test_nothing_to_embed_costs_nothing(provider: Provider) -> None:
    """No texts, no call."""
    assert await OpenAIEmbed(provider(), "m")([], Call()) == []


async def test_more_texts_than_the_api_takes_are_refused_here(provider: Provider) -> None:
    """The caller splits; sending would only cost quota."""
    with pytest.raises(TooLarge, match="3 texts"):
        await OpenAIEmbed(provider(), "m", max_inputs=2)([Text("x")] * 3, Call())


async def test_a_large_reply_is_decoded_the_same(provider: Provider) -> None:
    """Beyond 256 kB a thread decodes, with the same result."""
    row = np.zeros(1536, dtype="<f4")
    row[7] = 2
    body = msgspec.json.encode(reply_of(*[base64.b64encode(row.tobytes()).decode()] * 64))
    vectors = await OpenAIEmbed(provider(Reply(200, {}, body)), "m")([Text("x")] * 64, Call())
    assert len(vectors) == 64
    assert all(vector[7] == 1 and np.count_nonzero(vector) == 1 for vector in vectors)
