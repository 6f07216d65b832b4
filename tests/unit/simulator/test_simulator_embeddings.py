"""The embeddings API, called without a socket on virtual time."""

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

Make = Callable[..., Any]


def _vectors(reply: Any) -> list[Any]:
    data = msgspec.json.decode(reply.body)["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return [one["embedding"] for one in data]


async def test_base64_and_floats_are_the_same_vectors(simulated: Make) -> None:
    """Base64 is little-endian float32, and both have the profile's dimensions."""
    client = simulated(embeddings={"dimensions": 64})

    floats = _vectors(await client.embed(["one", "two"]))
    encoded = _vectors(await client.embed(["one", "two"], encoding_format="base64"))

    decoded = [np.frombuffer(base64.b64decode(text), "<f4") for text in encoded]
    assert np.allclose(floats, decoded)
    assert np.shape(floats) == (2, 64)


async def test_dimensions_may_be_asked_for(simulated: Make) -> None:
    """The request decides, and the vectors are still of unit length."""
    [vector] = _vectors(await simulated().embed("some text", dimensions=100))

    assert len(vector) == 100
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


async def test_a_shorter_vector_is_the_longer_one_truncated(simulated: Make) -> None:
    """`dimensions` cuts and renormalises, so that stored vectors may be shortened later."""
    client = simulated()
    [long] = _vectors(await client.embed("Cut me and make me of unit length again.", dimensions=512))
    [short] = _vectors(await client.embed("Cut me and make me of unit length again.", dimensions=256))

    assert np.allclose(np.array(long[:256]) / np.linalg.norm(long[:256]), short, atol=1e-6)


async def test_some_models_take_no_dimensions(simulated: Make) -> None:
    """Where the profile says so, the parameter itself is a mistake."""
    reply = await simulated(embeddings={"takes_dimensions": False}).embed("x", dimensions=512)

    assert (reply.status, msgspec.json.decode(reply.body)["error"]["code"]) == (400, None)
    assert b"This model does not support specifying dimensions." in reply.body


async def test_a_request_takes_200_to_500_ms(simulated: Make, clock: Callable[[], float]) -> None:
    """Nearly all latencies are in the measured range."""
    client = simulated(embeddings={"latency": {"median_s": 0.3, "sigma": 0.22, "slow_share": 0}})
    times = []
    for _ in range(100):
        start = clock()
        await client.embed()
        times.append(clock() - start)

    assert sum(0.18 <= time <= 0.52 for time in times) >= 95


async def test_two_simulators_with_one_seed_agree_to_the_byte(simulated: Make, clock: Callable[[], float]) -> None:
    """Replies, request ids and latencies are the same; another seed's differ."""

    async def story(seed: int) -> list[Any]:
        client = simulated(seed, embeddings={"faults": {"reset": 0.2, "bad_gateway": 0.2}})
        told = []
        for number in range(30):
            start = clock()
            reply = await client.embed(f"text {number}")
            told.append((reply.status, reply.ending, reply.body, reply.headers, round(clock() - start, 6)))
        return told

    first = await story(5)

    assert first == await story(5)
    assert [step[4] for step in first] != [step[4] for step in await story(6)]


async def test_headers_tell_the_limits_on_every_reply(simulated: Make) -> None:
    """Success, 429 and 400 alike carry all six, as they stood at admission."""
    client = simulated(embeddings={"rpm": 1})

    replies = [await client.embed(), await client.embed(), await client.embed("")]

    assert [reply.status for reply in replies] == [200, 429, 400]
    for reply in replies:
        for what in ("requests", "tokens"):
            assert {f"x-ratelimit-{part}-{what}" for part in ("limit", "remaining", "reset")} <= reply.headers.keys()
    assert replies[0].headers["x-ratelimit-remaining-requests"] == "0"
    assert replies[0].headers["x-ratelimit-reset-requests"] == "1m0s"


async def test_a_refusal_says_when_to_come_back_and_keeps_its_word(simulated: Make, clock: Callable[[], float]) -> None:
    """The 429 has the provider's body and both retry headers; one who waits as told is served."""
    import asyncio

    client = simulated(embeddings={"rpm": 3, "tpm": 1_000})
    for _ in range(3):
        assert (await client.embed()).status == 200

    refusal = await client.embed()
    error = msgspec.json.decode(refusal.body)["error"]

    assert (refusal.status, error["type"], error["code"]) == (429, "requests", "rate_limit_exceeded")
    assert "Limit 3, Used 3, Requested 1" in error["message"]
    assert float(refusal.headers["retry-after"]) >= float(refusal.headers["retry-after-ms"]) / 1000
    await asyncio.sleep(float(refusal.headers["retry-after-ms"]) / 1000)
    assert (await client.embed()).status == 200


async def test_limits_hold_for_an_organisation_and_model_not_for_a_key(simulated: Make) -> None:
    """Another key shares the bucket; another model or organisation has its own."""
    client = simulated(embeddings={"rpm": 1})
    first = await client.embed()
    body = {"input": "x", "model": "any-embedder"}

    other_key = await client.post("/v1/embeddings", body, {"authorization": "Bearer other"})
    other_model = await client.embed(model="another")
    other_org = await client.post("/v1/embeddings", body, {"openai-organization": "org-2"})

    assert [reply.status for reply in (first, other_key, other_model, other_org)] == [200, 429, 200, 200]


@pytest.mark.parametrize(
    ("body", "status", "code", "says"),
    [
        (b"{", 400, None, "parse the JSON"),
        (b"\xff\xfe", 400, None, "parse the JSON"),
        ({"model": "m"}, 400, None, "missing required field `input`"),
        ({"model": "m", "input": 5}, 400, None, "Expected `str | array`"),
        ({"model": "m", "input": []}, 400, None, "'$.input' is invalid. Please check"),
        ({"model": "m", "input": ["a", ""]}, 400, None, "'$.input' is invalid. Please check"),
        ({"model": "m", "input": ["a", 3]}, 400, None, "mixes strings and tokens"),
        ({"model": "m", "input": ["a"] * 2_049}, 400, "array_above_max_length", "maximum length 2048, but got"),
        ({"model": "m", "input": "a" * 40_000}, 400, None, "is 8192 tokens, however you requested 10000 tokens"),
        ({"model": "m", "input": ["a" * 32_000] * 38}, 400, "max_tokens_per_request", "Requested 304000 tokens, max"),
        ({"model": "m", "input": "a", "dimensions": 0}, 400, "integer_below_min_value", "'dimensions'"),
        (
            {"model": "m", "input": "a", "dimensions": 4_000},
            400,
            "integer_above_max_value",
            "a value <= 3072, but got 4000",
        ),
        ({"model": "m", "input": "a", "encoding_format": "hex"}, 400, None, "hex"),
    ],
)
async def test_bad_requests_are_400_and_say_why(
    simulated: Make, body: Any, status: int, code: str | None, says: str
) -> None:
    """Each kind of malformed or over-long input has the provider's status and code."""
    reply = await simulated().post("/v1/embeddings", body)
    error = msgspec.json.decode(reply.body)["error"]

    assert (reply.status, error["code"]) == (status, code)
    assert says in error["message"]


async def test_tokens_are_embedded_too(simulated: Make) -> None:
    """An array of tokens is one input, an array of arrays several; usage counts the tokens."""
    client = simulated()

    one, two = await client.embed([1, 2, 3]), await client.embed([[1, 2], [3]])

    assert (len(_vectors(one)), len(_vectors(two))) == (1, 2)
    assert msgspec.json.decode(one.body)["usage"] == {"prompt_tokens": 3, "total_tokens": 3}


async def test_keys_and_models_are_checked_where_configured(simulated: Make) -> None:
    """No key and a wrong key are 401, an unlisted model 404."""
    client = simulated(keys=["right"], embeddings={"models": {"known": {}}})
    body = {"input": "x", "model": "known"}

    missing = await client.post("/v1/embeddings", body)
    wrong = await client.post("/v1/embeddings", body, {"authorization": "Bearer sk-wrong-and-long-enough"})
    unknown = await client.post("/v1/embeddings", {**body, "model": "other"}, {"authorization": "Bearer right"})
    right = await client.post("/v1/embeddings", body, {"authorization": "Bearer right"})

    assert [reply.status for reply in (missing, wrong, unknown, right)] == [401, 401, 404, 200]
    assert msgspec.json.decode(wrong.body)["error"]["code"] == "invalid_api_key"
    assert b"sk-wrong-and-long-enough" not in wrong.body
    assert msgspec.json.decode(unknown.body)["error"]["code"] == "model_not_found"


async def test_the_model_list_shows_what_is_listed(simulated: Make) -> None:
    """Listed models of both surfaces, sorted."""
    client = simulated(embeddings={"models": {"e": {}}}, chat={"models": {"c": {}}})

    reply = await client.get("/v1/models")

    assert [model["id"] for model in msgspec.json.decode(reply.body)["data"]] == ["c", "e"]
