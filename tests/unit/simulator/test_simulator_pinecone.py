"""The vector store's data plane, called without a socket on virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

Make = Callable[..., Any]


def _json(reply: Any) -> Any:
    return msgspec.json.decode(reply.body)


async def _fill(client: Any, **vectors: list[float]) -> Any:
    records = [{"id": name, "values": values, "metadata": {"name": name}} for name, values in vectors.items()]
    reply = await client.post("/vectors/upsert", {"vectors": records, "namespace": "n"})
    await asyncio.sleep(5)
    return reply


async def test_the_nearest_records_come_first(simulated: Make) -> None:
    """Scores are cosines, best first; values and metadata come when asked for."""
    client = simulated()
    reply = await _fill(client, east=[2, 0], north=[0, 3], north_east=[1, 1])

    found = _json(
        await client.post(
            "/query",
            {"vector": [1, 0], "topK": 2, "namespace": "n", "includeMetadata": True, "includeValues": True},
        )
    )

    assert _json(reply) == {"upsertedCount": 3}
    assert [match["id"] for match in found["matches"]] == ["east", "north_east"]
    assert found["matches"][0] == {"id": "east", "score": 1.0, "values": [2, 0], "metadata": {"name": "east"}}
    assert found["matches"][1]["score"] == pytest.approx(0.7071, abs=1e-4)
    assert found["usage"] == {"readUnits": 1}


async def test_nobody_reads_what_they_just_wrote(simulated: Make) -> None:
    """A write is visible once the indexed LSN has reached its own, statistics later still."""
    client = simulated(vectors={"freshness_s": 2, "stats_lag_s": 3, "latency": {"median_s": 0, "slow_share": 0}})
    record = {"id": "a", "values": [1, 0]}
    written = await client.post("/vectors/upsert", {"vectors": [record]})

    async def look() -> tuple[int, int, int]:
        reply = await client.post("/query", {"vector": [1, 0], "topK": 1})
        stats = _json(await client.post("/describe_index_stats", {}))
        lsn = int(reply.headers["x-pinecone-max-indexed-lsn"])
        return len(_json(reply)["matches"]), lsn, stats["totalVectorCount"]

    assert written.headers["x-pinecone-request-lsn"] == "1"
    assert await look() == (0, 0, 0)
    await asyncio.sleep(2)
    assert await look() == (1, 1, 0)
    await asyncio.sleep(3)
    assert await look() == (1, 1, 1)


async def test_upserting_an_id_again_replaces_it(simulated: Make) -> None:
    """The same id overwrites; the count stays."""
    client = simulated()
    await _fill(client, a=[1, 0], b=[0, 1])
    await _fill(client, a=[0, 1])

    found = _json(await client.get("/vectors/fetch", ids=["a", "missing"], namespace="n"))
    stats = _json(await client.post("/describe_index_stats", {}))

    assert found["vectors"] == {"a": {"id": "a", "values": [0, 1], "metadata": {"name": "a"}}}
    assert stats["namespaces"] == {"n": {"vectorCount": 2}}
    assert stats["dimension"] == 2


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ({"ids": ["a", "missing"]}, ["b", "c"]),
        ({"filter": {"name": {"$in": ["a", "b"]}}}, ["c"]),
        ({"deleteAll": True}, []),
    ],
)
async def test_records_are_deleted_by_id_by_filter_or_all(simulated: Make, what: Any, left: list[str]) -> None:
    """Unknown ids are no error, and the rest is still found."""
    client = simulated()
    await _fill(client, a=[1, 0], b=[0, 1], c=[1, 1])

    reply = await client.post("/vectors/delete", {**what, "namespace": "n"})
    await asyncio.sleep(5)

    found = _json(await client.post("/query", {"vector": [1, 1], "topK": 9, "namespace": "n"}))
    assert (reply.status, _json(reply)) == (200, {})
    assert sorted(match["id"] for match in found["matches"]) == left


async def test_ids_are_listed_by_prefix_and_page(simulated: Make) -> None:
    """The token leads to the next page; the last page has none."""
    client = simulated()
    await _fill(client, x1=[1, 0], x2=[0, 1], x3=[1, 1], y=[2, 1])

    first = _json(await client.get("/vectors/list", prefix="x", limit="2", namespace="n"))
    token = first["pagination"]["next"]
    second = _json(await client.get("/vectors/list", prefix="x", limit="2", namespace="n", paginationToken=token))

    assert [one["id"] for one in first["vectors"] + second["vectors"]] == ["x1", "x2", "x3"]
    assert "pagination" not in second


async def test_a_filter_narrows_a_query(simulated: Make) -> None:
    """Only records that pass are ranked."""
    client = simulated()
    await _fill(client, a=[1, 0], b=[1, 0.1], c=[0, 1])

    found = _json(
        await client.post("/query", {"vector": [1, 0], "topK": 2, "namespace": "n", "filter": {"name": {"$ne": "a"}}})
    )

    assert [match["id"] for match in found["matches"]] == ["b", "c"]


async def test_a_query_by_id_uses_the_stored_vector(simulated: Make) -> None:
    """An unknown id finds nothing."""
    client = simulated()
    await _fill(client, a=[1, 0], b=[0, 1])

    known = _json(await client.post("/query", {"id": "b", "topK": 1, "namespace": "n"}))
    unknown = _json(await client.post("/query", {"id": "z", "topK": 1, "namespace": "n"}))

    assert [match["id"] for match in known["matches"]] == ["b"]
    assert unknown["matches"] == []


async def test_a_hundred_queries_a_second_pass_in_each_namespace(simulated: Make) -> None:
    """The rest are 429 with an rpcStatus and no Retry-After; other namespaces and operations have their own."""
    client = simulated()
    queries = [client.post("/query", {"vector": [1, 0], "topK": 1, "namespace": "n"}) for _ in range(120)]

    replies = await asyncio.gather(*queries, client.post("/query", {"vector": [1, 0], "topK": 1, "namespace": "m"}))

    refused = [reply for reply in replies[:120] if reply.status == 429]
    assert len(refused) == 20
    assert _json(refused[0])["code"] == 8
    assert "max query requests per second for namespace n" in _json(refused[0])["message"]
    assert "retry-after" not in refused[0].headers
    assert replies[120].status == 200
    assert client.simulator.state()["clients"]["tester"]["surfaces"]["vectors"]["throttled"] == {"query": 20}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/query", {"vector": [1, 0, 0], "topK": 1, "namespace": "n"}, "Vector dimension 3 does not match"),
        ("/query", {"vector": [1, 0], "topK": 0}, "`int` >= 1"),
        ("/query", {"vector": [1, 0], "topK": 10_001}, "`int` <= 10000"),
        ("/query", {"topK": 1}, "either vector or id"),
        ("/query", {"vector": [1, 0], "topK": 1, "filter": {"a": {"$like": 1}}}, "$like is not a known operator"),
        ("/query", b"{", "not as the API defines it"),
        ("/vectors/upsert", {"vectors": []}, "send between 1 and 1000"),
        ("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}] * 1_001}, "1001 vectors"),
        ("/vectors/upsert", {"vectors": [{"id": "a" * 513, "values": [1, 0]}]}, "513 characters"),
        ("/vectors/upsert", {"vectors": [{"id": "a", "values": [1]}]}, "Vector dimension 1 does not match"),
        ("/vectors/upsert", {"vectors": [{"id": "a", "values": [0, 0]}]}, "non-zero"),
        (
            "/vectors/upsert",
            {"vectors": [{"id": "a", "values": [1, 0], "metadata": {"t": "x" * 41_000}}]},
            "exceeds the limit of 40960 bytes",
        ),
        ("/vectors/upsert", {"vectors": [{"id": "a" * 2_100_000, "values": [1, 0]}]}, "maximum supported size"),
        ("/vectors/delete", {"ids": ["a"], "deleteAll": True}, "exactly one of"),
        ("/vectors/delete", {"ids": [str(n) for n in range(1_001)]}, "1001 ids"),
        ("/vectors/delete", {"filter": {"a": 1, "b": {"$bad": 2}}}, "$bad is not a known operator"),
    ],
)
async def test_bad_requests_are_code_3_and_say_why(simulated: Make, path: str, body: Any, says: str) -> None:
    """Each limit of the data plane is enforced with Pinecone's error body."""
    client = simulated()
    await _fill(client, a=[1, 0])

    reply = await client.post(path, body)

    assert (reply.status, _json(reply)["code"], _json(reply)["details"]) == (400, 3, [])
    assert says in _json(reply)["message"]


async def test_a_rejected_upsert_does_not_set_the_dimension(simulated: Make) -> None:
    """The first upsert that is accepted decides."""
    client = simulated()
    await client.post("/vectors/upsert", {"vectors": [{"id": "a", "values": [0, 0, 0]}]})

    assert (await client.post("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}]})).status == 200


async def test_a_wrong_key_is_401(simulated: Make) -> None:
    """Keys are checked where configured."""
    client = simulated(keys=["right"])
    body = {"vector": [1], "topK": 1}

    wrong = await client.post("/query", body, {"api-key": "wrong"})
    right = await client.post("/query", body, {"api-key": "right"})

    assert (wrong.status, right.status) == (401, 200)
