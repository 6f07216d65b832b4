"""The vector store's control plane, called without a socket on virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.simulator.exchange import Request

Make = Callable[..., Any]
OLD = {"x-pinecone-api-version": "2025-10"}


def _body(name: str = "books", dimension: int = 2, **more: Any) -> dict[str, Any]:
    field = {"type": "dense_vector", "dimension": dimension, "metric": "cosine"}
    return {"name": name, "schema": {"fields": {"_values": field}}, **more}


def _json(reply: Any) -> Any:
    return msgspec.json.decode(reply.body)


async def _call(client: Any, method: str, path: str, body: Any = None, **headers: str) -> Any:
    raw = b"" if body is None else msgspec.json.encode(body)
    return await client.send(Request(method, path, {"x-sim-client": "tester", "host": "here:1", **headers}, raw))


async def test_an_index_is_created_described_listed_and_deleted(simulated: Make) -> None:
    """Its shape is that of 2026-07, and its host has a scheme."""
    client = simulated()

    made = await _call(client, "POST", "/indexes", _body(tags={"team": "a"}))
    described = _json(await _call(client, "GET", "/indexes/books"))
    listed = _json(await _call(client, "GET", "/indexes"))
    deleted = await _call(client, "DELETE", "/indexes/books")
    gone = await _call(client, "GET", "/indexes/books")

    assert (made.status, deleted.status, deleted.body) == (201, 202, b"")
    assert described == _json(made)
    assert listed == {"indexes": [described]}
    assert described["schema"] == {"fields": {"_values": {"type": "dense_vector", "dimension": 2, "metric": "cosine"}}}
    assert described["status"] == {"ready": True, "state": "Ready"}
    assert described["host"] == "http://here:1/hosts/books"
    assert described["tags"] == {"team": "a"}
    assert (gone.status, _json(gone)["error"]["code"]) == (404, "NOT_FOUND")


async def test_every_index_has_records_of_its_own(simulated: Make) -> None:
    """Below the path of its host, with its own dimension; the simulator's address is the profile's index."""
    client = simulated()
    await _call(client, "POST", "/indexes", _body("one"))
    await _call(client, "POST", "/indexes", _body("two", 3))

    first = await client.post("/hosts/one/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]})
    second = await client.post("/hosts/two/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]})
    await client.post("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0, 0, 0]}]})
    await asyncio.sleep(5)
    stats = [_json(await client.get(f"{host}/describe_index_stats")) for host in ("/hosts/one", "/hosts/two", "")]
    nowhere = await client.post("/hosts/three/query", {"vector": [1], "topK": 1})

    assert (first.status, second.status) == (200, 400)
    assert [(one["totalVectorCount"], one["dimension"]) for one in stats] == [(1, 2), (0, 3), (1, 4)]
    assert (nowhere.status, _json(nowhere)["code"]) == (404, 5)


async def test_the_profile_s_index_is_there_once_its_dimension_is_known(simulated: Make) -> None:
    """Creating an index of that name gives it the simulator's address."""
    client = simulated(vectors={"index": "own"})
    before = _json(await _call(client, "GET", "/indexes"))

    made = _json(await _call(client, "POST", "/indexes", _body("own")))
    again = await _call(client, "POST", "/indexes", _body("own"))
    wrong = await client.post("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0, 0]}]})

    assert before == {"indexes": []}
    assert made["host"] == "http://here:1"
    assert (again.status, _json(again)["error"]["code"]) == (409, "ALREADY_EXISTS")
    assert wrong.status == 400


async def test_an_index_may_take_a_while_to_be_ready(simulated: Make) -> None:
    """Until then it has no host."""
    client = simulated(vectors={"ready_s": 10})

    made = _json(await _call(client, "POST", "/indexes", _body()))
    await asyncio.sleep(10)
    later = _json(await _call(client, "GET", "/indexes/books"))

    assert (made["status"], made["host"]) == ({"ready": False, "state": "Initializing"}, None)
    assert (later["status"], later["host"]) == ({"ready": True, "state": "Ready"}, "http://here:1/hosts/books")


async def test_older_clients_see_the_older_shape(simulated: Make) -> None:
    """Before 2026-07 an index had one metric and one dimension."""
    client = simulated()
    spec = {"serverless": {"cloud": "gcp", "region": "europe-west4"}}

    made = await _call(client, "POST", "/indexes", {"name": "old", "dimension": 2, "spec": spec}, **OLD)
    described = _json(await _call(client, "GET", "/indexes/old", **OLD))
    newer = _json(await _call(client, "GET", "/indexes/old"))

    assert made.status == 201
    assert (described["dimension"], described["metric"], described["spec"]) == (2, "cosine", spec)
    assert "schema" not in described
    assert newer["deployment"] == {"deployment_type": "managed", "cloud": "gcp", "region": "europe-west4"}


async def test_protection_keeps_an_index_from_being_deleted(simulated: Make) -> None:
    """Until it is configured away; tags are merged."""
    client = simulated()
    await _call(client, "POST", "/indexes", _body(deletion_protection="enabled", tags={"a": "1", "b": "2"}))

    refused = await _call(client, "DELETE", "/indexes/books")
    changed = await _call(
        client, "PATCH", "/indexes/books", {"deletion_protection": "disabled", "tags": {"a": "", "c": "3"}}
    )

    assert (refused.status, _json(refused)["error"]["code"]) == (403, "FORBIDDEN")
    assert _json(changed)["tags"] == {"b": "2", "c": "3"}
    assert (await _call(client, "DELETE", "/indexes/books")).status == 202


async def test_too_many_indexes_are_a_matter_of_the_plan(simulated: Make) -> None:
    """403 and not 429: no waiting helps."""
    client = simulated(vectors={"max_indexes": 1})
    await _call(client, "POST", "/indexes", _body("one"))

    reply = await _call(client, "POST", "/indexes", _body("two"))

    assert (reply.status, _json(reply)["error"]["code"]) == (403, "QUOTA_EXCEEDED")
    assert "max serverless indexes allowed in project simulated (1)" in _json(reply)["error"]["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (_body("Big Name"), "lower case alphanumeric"),
        (_body("a" * 46), "at most 45"),
        (_body(dimension=0), "between 1 and 20000, got 0"),
        ({"name": "x"}, "missing required field `schema`"),
        ({"name": "x", "schema": {"fields": {"text": {"type": "string"}}}}, "got text (string)"),
    ],
)
async def test_bad_requests_say_why(simulated: Make, body: Any, says: str) -> None:
    """In the control plane's own shape."""
    reply = await _call(simulated(), "POST", "/indexes", body)

    assert (reply.status, _json(reply)["status"]) == (400, 400)
    assert _json(reply)["error"]["code"] == "INVALID_ARGUMENT"
    assert says in _json(reply)["error"]["message"]


async def test_looking_again_for_what_was_not_there_is_no_retry(simulated: Make) -> None:
    """A client may ask until an index is gone, or there."""
    client = simulated()
    for _ in range(3):
        assert (await _call(client, "GET", "/indexes/books")).status == 404
    await _call(client, "POST", "/indexes", _body())
    await _call(client, "GET", "/indexes/books")

    assert client.simulator.state()["clients"]["tester"]["retries_after_terminal"] == 0


async def test_a_reset_with_vectors_drops_created_indexes(simulated: Make) -> None:
    """Without, they stay."""
    client = simulated()
    await _call(client, "POST", "/indexes", _body())

    client.simulator.reset()
    kept = await _call(client, "GET", "/indexes/books")
    client.simulator.reset(vectors=True)
    dropped = await _call(client, "GET", "/indexes/books")

    assert (kept.status, dropped.status) == (200, 404)


async def test_a_wrong_key_is_401(simulated: Make) -> None:
    """Keys are checked where configured."""
    client = simulated(keys=["right"])

    wrong = await _call(client, "GET", "/indexes", **{"api-key": "wrong"})
    right = await _call(client, "GET", "/indexes", **{"api-key": "right"})

    assert (wrong.status, right.status) == (401, 200)
