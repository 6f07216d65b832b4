"""The Pinecone adapter against a scripted index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rushhour.errors import MalformedReply, QuotaExhausted, Rejected, Throttled, TooLarge, Unauthorized
from rushhour.flow.call import Call
from rushhour.hops.contract import Delete, Match, NamespaceStats, Record, Upsert, VectorQuery
from rushhour.hops.pinecone import MAX_BYTES, PineconeStore, pinecone_headers
from rushhour.hops.transport import Reply

Provider = Callable[..., Any]
BodyOf = Callable[..., Reply]
CALL = Call()
EAST = np.array([0.6, 0.8], dtype=np.float32)


def test_every_request_carries_key_and_version() -> None:
    """Both headers are the transport's to send."""
    assert pinecone_headers("pcsk_x", "2026-07") == {"Api-Key": "pcsk_x", "X-Pinecone-Api-Version": "2026-07"}


async def test_upserts_ids_values_and_metadata(provider: Provider, body_of: BodyOf) -> None:
    """One record on the wire, floats short but exact to a float32."""
    api = provider(body_of({"upsertedCount": 1}))
    written = await PineconeStore(api).upsert(Upsert("ns", [Record("a", EAST, {"file": "f", "page": 3})]), CALL)
    assert written == 1
    assert api.sent[0].path == "/vectors/upsert"
    body = api.sent[0].json
    assert body == {"namespace": "ns", "vectors": [{"id": "a", "values": [0.600000024, 0.800000012], "metadata": {
        "file": "f", "page": 3}}]}  # fmt: skip
    assert np.array(body["vectors"][0]["values"], dtype=np.float32).tolist() == EAST.tolist()


async def test_upserts_at_most_a_thousand_records_a_request(provider: Provider, body_of: BodyOf) -> None:
    """Order is kept, the counts are summed."""
    api = provider(body_of({"upsertedCount": 1000}), body_of({"upsertedCount": 1000}), body_of({"upsertedCount": 1}))
    records = [Record(str(n), EAST, {}) for n in range(2001)]
    assert await PineconeStore(api).upsert(Upsert("ns", records), CALL) == 2001
    sizes = [len(sent.json["vectors"]) for sent in api.sent]
    assert sizes == [1000, 1000, 1]
    assert [one["id"] for sent in api.sent for one in sent.json["vectors"]] == [str(n) for n in range(2001)]


async def test_upserts_at_most_two_megabytes_a_request(provider: Provider, body_of: BodyOf) -> None:
    """The encoded body is what is measured, and it is filled well."""
    wide = np.full(1536, 1 / 1536**0.5, dtype=np.float32)
    records = [Record(str(n), wide, {"text": "ü" * 500}) for n in range(300)]
    api = provider(*[body_of({"upsertedCount": 1})] * 9)
    await PineconeStore(api).upsert(Upsert("ns", records), CALL)
    sizes = [len(sent.body) for sent in api.sent]
    assert max(sizes) <= MAX_BYTES
    assert all(size > 0.95 * MAX_BYTES for size in sizes[:-1])
    assert sum(len(sent.json["vectors"]) for sent in api.sent) == 300


async def test_a_record_that_can_never_fit_is_named(provider: Provider) -> None:
    """Nothing is sent."""
    with pytest.raises(TooLarge, match="'big'"):
        await PineconeStore(provider()).upsert(Upsert("ns", [Record("big", EAST, {"x": "y" * MAX_BYTES})]), CALL)


async def test_nothing_to_write_is_no_request(provider: Provider) -> None:
    """No records, no call."""
    assert await PineconeStore(provider()).upsert(Upsert("ns", []), CALL) == 0


async def test_queries_ids_and_scores_only(provider: Provider, body_of: BodyOf) -> None:
    """The catalog has the texts; asking for values or metadata would only cost."""
    api = provider(body_of({"matches": [{"id": "b", "score": 0.5}, {"id": "a", "score": 0.9}], "namespace": "ns"}))
    found = await PineconeStore(api, 3.0).query(VectorQuery("ns", EAST, 20_000, {"file": {"$eq": "f"}}), CALL)
    assert found == [Match("a", 0.9), Match("b", 0.5)]
    assert api.sent[0].path == "/query"
    assert api.sent[0].timeout == 3.0
    assert api.sent[0].json == {
        "topK": 10_000,
        "includeValues": False,
        "includeMetadata": False,
        "namespace": "ns",
        "vector": [0.600000024, 0.800000012],
        "filter": {"file": {"$eq": "f"}},
    }


async def test_deletes_at_most_a_thousand_ids_a_request(provider: Provider, body_of: BodyOf) -> None:
    """More ids, more requests."""
    api = provider(body_of({}), body_of({}))
    await PineconeStore(api).delete(Delete("ns", [str(n) for n in range(1001)]), CALL)
    assert [len(sent.json["ids"]) for sent in api.sent] == [1000, 1]


async def test_deletes_a_whole_namespace(provider: Provider, body_of: BodyOf) -> None:
    """None means all."""
    api = provider(body_of({}))
    await PineconeStore(api).delete(Delete("ns", None), CALL)
    assert api.sent[0].json == {"deleteAll": True, "namespace": "ns"}


async def test_deleting_what_is_not_there_is_no_error(provider: Provider, body_of: BodyOf) -> None:
    """Pinecone answers 404 for a namespace it has never seen; any other 404 is an error."""
    await PineconeStore(provider(body_of({"code": 5, "message": "Namespace not found"}, 404))).delete(
        Delete("ns", None), CALL
    )
    with pytest.raises(Rejected):
        await PineconeStore(provider(body_of({"message": "no route"}, 404))).delete(Delete("ns", ["a"]), CALL)


async def test_counts_a_namespace(provider: Provider, body_of: BodyOf) -> None:
    """A namespace that is not listed is empty."""
    stats = {"namespaces": {"ns": {"vectorCount": 7}}, "dimension": 2, "totalVectorCount": 7}
    store = PineconeStore(provider(body_of(stats), body_of(stats)))
    assert await store.stats("ns", CALL) == NamespaceStats("ns", 7)
    assert await store.stats("other", CALL) == NamespaceStats("other", 0)


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (400, {"code": 3, "message": "Vector dimension 768 does not match the dimension of the index 1536",
               "details": []}, Rejected, "made for another embedding model"),
        (400, {"code": 3, "message": "bad filter", "details": []}, Rejected, "bad filter"),
        (401, {"code": 16, "message": "Invalid API Key"}, Unauthorized, "RUSHHOUR_TEST__API_KEY"),
        (403, {"error": {"code": "FORBIDDEN", "message": "wrong project"}}, Unauthorized, "wrong project"),
        (403, {"error": {"code": "QUOTA_EXCEEDED", "message": "too many objects"}}, QuotaExhausted, "too many objects"),
        (429, {"code": 8, "message": "You've reached your write unit limit for the current month."}, QuotaExhausted,
         "monthly"),
        (429, {"code": 8, "message": "Request failed. You've reached the max query read units per second for index X. "
                                     "Pace your queries"}, Throttled, "Pace your queries"),
    ],
)  # fmt: skip
async def test_a_refusal_says_what_to_do(
    provider: Provider, body_of: BodyOf, status: int, body: Any, error: type[Exception], said: str
) -> None:
    """Pace, money, permission and a wrong model are told apart."""
    with pytest.raises(error, match=said) as caught:
        await PineconeStore(provider(body_of(body, status))).query(VectorQuery("ns", EAST, 5), CALL)
    assert type(caught.value) is error


@pytest.mark.parametrize("body", [b"", b"[]", b'{"matches":1}', b"<html>"])
async def test_a_wrong_reply_is_malformed(provider: Provider, body: bytes) -> None:
    """A 200 that is not Pinecone's."""
    with pytest.raises(MalformedReply):
        await PineconeStore(provider(Reply(200, {}, body))).query(VectorQuery("ns", EAST, 5), CALL)


async def test_closes_its_transport(provider: Provider) -> None:
    """The store owns its connections."""
    api = provider()
    await PineconeStore(api).aclose()
    assert api.closed
