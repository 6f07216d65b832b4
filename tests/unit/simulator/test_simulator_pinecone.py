"""The vector store's data plane, called without a socket on virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.simulator.exchange import Request

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
    assert "the query QPS limit for namespace n (100 QPS). Pace your queries" in _json(refused[0])["message"]
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
        (
            "/vectors/upsert",
            {"vectors": [{"id": "a", "values": [1, 0], "metadata": {"x": {"y": 1}}}]},
            "got '{\"y\":1}' for field 'x'",
        ),
        (
            "/vectors/upsert",
            {"vectors": [{"id": "a", "values": [1, 0], "sparseValues": {"indices": [1], "values": [0.5]}}]},
            "does not support sparse values",
        ),
        ("/vectors/update", {"namespace": "n", "values": [1, 0]}, "exactly one of id and filter"),
        ("/vectors/update", {"namespace": "n", "id": "a", "values": [1]}, "Vector dimension 1 does not match"),
        ("/vectors/fetch_by_metadata", {"filter": {}, "limit": 0}, "`int` >= 1"),
        ("/describe_index_stats", {"filter": {"a": 1}}, "do not support describing index stats"),
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


async def test_an_update_changes_values_and_adds_metadata(simulated: Make) -> None:
    """Only what was sent changes, once it is visible; an id that does not exist is no error."""
    client = simulated(vectors={"freshness_s": 2})
    await _fill(client, a=[1, 0])

    reply = await client.post(
        "/vectors/update", {"id": "a", "values": [0, 1], "setMetadata": {"seen": True}, "namespace": "n"}
    )
    before = _json(await client.get("/vectors/fetch", ids="a", namespace="n"))
    await client.post("/vectors/update", {"id": "nobody", "values": [0, 1], "namespace": "n"})
    await asyncio.sleep(3)
    after = _json(await client.get("/vectors/fetch", ids=["a", "nobody"], namespace="n"))

    assert (reply.status, reply.headers["x-pinecone-request-lsn"]) == (200, "2")
    assert before["vectors"]["a"]["values"] == [1, 0]
    assert after["vectors"] == {"a": {"id": "a", "values": [0, 1], "metadata": {"name": "a", "seen": True}}}


async def test_an_update_by_filter_counts_what_it_matches(simulated: Make) -> None:
    """A dry run changes nothing."""
    client = simulated()
    await _fill(client, a=[1, 0], b=[0, 1])
    body = {"filter": {"name": {"$in": ["a", "b"]}}, "setMetadata": {"seen": 1}, "namespace": "n"}

    dry = _json(await client.post("/vectors/update", {**body, "dryRun": True}))
    wet = _json(await client.post("/vectors/update", body))
    await asyncio.sleep(5)
    found = _json(await client.post("/vectors/fetch_by_metadata", {"filter": {"seen": 1}, "namespace": "n"}))

    assert dry == wet == {"matchedRecords": 2}
    assert sorted(found["vectors"]) == ["a", "b"]


async def test_records_are_fetched_by_metadata_page_by_page(simulated: Make) -> None:
    """The token leads to the next page; a read unit is ten records."""
    client = simulated()
    await _fill(client, **{f"id{n:02}": [1.0, n] for n in range(25)})
    body = {"filter": {"name": {"$ne": "id00"}}, "limit": 20, "namespace": "n"}

    first = _json(await client.post("/vectors/fetch_by_metadata", body))
    token = first["pagination"]["next"]
    second = _json(await client.post("/vectors/fetch_by_metadata", {**body, "paginationToken": token}))

    assert sorted({**first["vectors"], **second["vectors"]}) == [f"id{n:02}" for n in range(1, 25)]
    assert "pagination" not in second
    assert (first["usage"]["readUnits"], second["usage"]["readUnits"]) == (2, 1)


@pytest.mark.parametrize(
    ("limits", "path", "body", "name", "says"),
    [
        (
            {"update_per_s": 1},
            "/vectors/update",
            {"id": "a", "setMetadata": {}, "namespace": "n"},
            "update",
            "the update QPS limit for namespace n (1 QPS). Pace your update requests or contact Pinecone Support",
        ),
        (
            {"delete_by_metadata_per_s": 1},
            "/vectors/delete",
            {"filter": {"x": 1}, "namespace": "n"},
            "delete_by_metadata",
            "the max delete by metadata requests per second for namespace n. Pace your delete by metadata requests",
        ),
        (
            {"query_units_per_s": 1},
            "/query",
            {"vector": [1, 0], "topK": 1, "namespace": "n"},
            "query_units",
            "the max query read units per second for index simulated. Pace your queries or contact Pinecone Support",
        ),
        (
            {"stats_per_s": 1},
            "/describe_index_stats",
            {},
            "stats",
            "the max describe_index_stats requests per second for index simulated.",
        ),
        (
            {"fetch_per_s": 1},
            "/vectors/fetch_by_metadata",
            {"filter": {"x": 1}},
            "fetch",
            "the max fetch requests per second for index simulated. Pace your fetch requests",
        ),
    ],
)
async def test_every_limit_has_its_own_429(
    simulated: Make, limits: Any, path: str, body: Any, name: str, says: str
) -> None:
    """The second call within the second is refused in the provider's words, under the limit's name in the ledger."""
    client = simulated(vectors={**limits, "latency": {"median_s": 0, "slow_share": 0}})
    await client.post("/vectors/upsert", {"vectors": [{"id": "a", "values": [1, 0]}], "namespace": "n"})

    replies = [await client.post(path, body) for _ in range(2)]

    assert [reply.status for reply in replies] == [200, 429]
    assert _json(replies[1])["message"].startswith(f"Request failed. You've reached {says}")
    assert client.simulator.state()["surfaces"]["vectors"]["throttled"] == {name: 1}


async def test_too_many_bytes_a_second_are_refused(simulated: Make) -> None:
    """Upserts are limited by their size as well, and the next second has room again."""
    client = simulated(vectors={"upsert_bytes_per_s": 20_000})
    record = {"id": "a", "values": [1, 0], "metadata": {"text": "x" * 15_000}}

    async def upsert() -> int:
        reply = await client.post("/vectors/upsert", {"vectors": [record], "namespace": "n"})
        status: int = reply.status
        return status

    statuses = await asyncio.gather(upsert(), upsert())
    await asyncio.sleep(1)

    assert (sorted(statuses), await upsert()) == ([200, 429], 200)


@pytest.mark.parametrize(("kind", "doing"), [("read", "reading"), ("write", "writing")])
async def test_a_used_up_month_is_a_429_that_waiting_does_not_help(simulated: Make, kind: str, doing: str) -> None:
    """Reads and writes have their own month; trying again counts as a retry of something terminal."""
    client = simulated(vectors={"read_units_a_month": 1, "write_units_a_month": 10})
    record = {"vectors": [{"id": "a", "values": [1, 0]}], "namespace": "n"}
    query = {"vector": [1, 0], "topK": 1, "namespace": "n"}
    path, body = ("/query", query) if kind == "read" else ("/vectors/upsert", record)
    for _ in range(1 if kind == "read" else 2):
        assert (await client.post(path, body)).status == 200

    replies = []
    for _ in range(2):
        await asyncio.sleep(10)
        replies.append(await client.post(path, body))

    assert [reply.status for reply in replies] == [429, 429]
    message = f"You've reached your {kind} unit limit for the current month. To continue {doing} data"
    assert message in _json(replies[0])["message"]
    assert client.simulator.state()["clients"]["tester"]["retries_after_terminal"] == 1


async def test_what_was_never_written_to_is_not_found(simulated: Make) -> None:
    """A query finds nothing, a deletion is 404."""
    client = simulated()

    query = await client.post("/query", {"vector": [1, 0], "topK": 1, "namespace": "nowhere"})
    deletion = await client.post("/vectors/delete", {"deleteAll": True, "namespace": "nowhere"})

    assert (query.status, _json(query)["matches"]) == (200, [])
    assert (deletion.status, _json(deletion)) == (404, {"code": 5, "message": "Namespace not found", "details": []})


async def test_namespaces_are_listed_described_and_deleted(simulated: Make) -> None:
    """The default one has a name; counts are strings, as 64-bit integers are in protobuf's JSON."""
    client = simulated()
    await _fill(client, a=[1, 0], b=[0, 1])
    await client.post("/vectors/upsert", {"vectors": [{"id": "c", "values": [1, 0]}]})
    await client.post("/namespaces", {"name": "empty"})
    await asyncio.sleep(5)

    first = _json(await client.get("/namespaces", limit="2"))
    second = _json(await client.get("/namespaces", limit="2", paginationToken=first["pagination"]["next"]))
    one = _json(await client.get("/namespaces/n"))
    await client.send(Request("DELETE", "/namespaces/n"))
    gone = await client.get("/namespaces/n")

    assert [space["name"] for space in first["namespaces"] + second["namespaces"]] == ["__default__", "empty", "n"]
    assert (first["total_count"], one["record_count"]) == (3, "2")
    assert one["size_bytes"] > 2 * 2 * 4
    assert (gone.status, _json(gone)["code"]) == (404, 5)


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
