"""The official Pinecone SDK against the simulator: control plane and data plane, sync and async. Real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from pinecone import AsyncPinecone, Pinecone, ServerlessSpec
from pinecone.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PineconeTimeoutError,
    RateLimitError,
    UnauthorizedError,
)

from rushhour.simulator import Simulator

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
SCHEMA = {"fields": {"_values": {"type": "dense_vector", "dimension": 2, "metric": "cosine"}}}
VECTORS = [
    {"id": "east", "values": [1.0, 0.0], "metadata": {"kind": "axis"}},
    {"id": "north", "values": [0.0, 1.0], "metadata": {"kind": "axis"}},
    {"id": "north-east", "values": [1.0, 1.0], "metadata": {"kind": "diagonal"}},
]


@asynccontextmanager
async def _index(simulator: Simulator, name: str = "books", **options: Any) -> AsyncIterator[Any]:
    async with AsyncPinecone(api_key="sdk", host=simulator.url, **options) as project:
        if not await project.indexes.exists(name):
            await project.indexes.create(name=name, schema=SCHEMA)
        async with await project.index(name) as index:
            yield index


async def test_a_synchronous_client_from_creation_to_deletion(listening: Make) -> None:
    """Create, write, read, update, list, describe, delete: every answer is what the SDK expects."""
    async with listening() as simulator:

        def story() -> None:
            with Pinecone(api_key="sdk", host=simulator.url) as project:
                made = project.indexes.create(name="books", schema=SCHEMA, tags={"team": "a"})
                assert made.status.ready
                assert made.host == f"{simulator.url}/hosts/books"
                assert [one.name for one in project.indexes.list()] == ["books"]
                with project.index("books") as index:
                    assert index.upsert(vectors=VECTORS, namespace="n").upserted_count == 3
                    found = index.query(vector=[1, 0.1], top_k=2, namespace="n", include_metadata=True)
                    assert [match.id for match in found.matches] == ["east", "north-east"]
                    assert found.matches[0].metadata == {"kind": "axis"}
                    assert found.usage is not None
                    assert found.usage.read_units == 1
                    index.update(id="east", set_metadata={"seen": True}, namespace="n")
                    fetched = index.fetch(ids=["east", "nobody"], namespace="n")
                    assert {name: one.metadata for name, one in fetched.vectors.items()} == {
                        "east": {"kind": "axis", "seen": True}
                    }
                    by_kind = index.fetch_by_metadata(filter={"kind": "diagonal"}, namespace="n")
                    assert list(by_kind.vectors) == ["north-east"]
                    pages = [
                        [one.id for one in page.vectors] for page in index.list(prefix="n", limit=1, namespace="n")
                    ]
                    assert pages == [["north"], ["north-east"]]
                    stats = index.describe_index_stats()
                    assert (stats.total_vector_count, stats.dimension, stats.metric) == (3, 2, "cosine")
                    assert stats.namespaces["n"].vector_count == 3
                    assert [one.name for page in index.list_namespaces() for one in page.namespaces] == ["n"]
                    assert index.describe_namespace(name="n").record_count == 3
                    index.delete(filter={"kind": "axis"}, namespace="n")
                    assert index.describe_index_stats().total_vector_count == 1
                project.indexes.configure("books", tags={"team": "b"})
                assert project.indexes.describe("books").tags == {"team": "b"}
                project.indexes.delete("books")
                assert not project.indexes.exists("books")

        await asyncio.to_thread(story)


async def test_an_asynchronous_client_from_creation_to_deletion(listening: Make) -> None:
    """The same through the other client, over two indexes with the same ids."""
    async with listening() as simulator, AsyncPinecone(api_key="sdk", host=simulator.url) as project:
        for name in ("one", "two"):
            await project.indexes.create(name=name, schema=SCHEMA)
        async with await project.index("one") as one, await project.index("two") as two:
            await one.upsert(vectors=VECTORS)
            await two.upsert(vectors=VECTORS[:1])
            found = await one.query(id="north", top_k=3, filter={"kind": {"$ne": "diagonal"}}, include_values=True)
            assert [match.id for match in found.matches] == ["north", "east"]
            assert list(found.matches[0].values) == [0.0, 1.0]
            assert [item.id async for page in one.list() for item in page.vectors] == ["east", "north", "north-east"]
            await one.delete(ids=["east"])
            assert (await one.describe_index_stats()).namespaces["__default__"].vector_count == 2
            assert (await two.describe_index_stats()).total_vector_count == 1
        await project.indexes.delete("one")
        assert [index.name async for index in project.indexes.list()] == ["two"]


async def test_the_older_keywords_still_make_an_index(listening: Make) -> None:
    """Dimension, metric and a serverless spec are translated by the SDK, and shown the old way."""
    async with listening() as simulator:

        def story() -> None:
            with Pinecone(api_key="sdk", host=simulator.url) as project:
                spec = ServerlessSpec(cloud="aws", region="eu-west-1")
                project.indexes.create(name="old", dimension=3, metric="dotproduct", spec=spec)
                described = project.indexes.describe("old").to_dict()
                assert (described["dimension"], described["metric"]) == (3, "dotproduct")
                assert described["spec"]["serverless"]["region"] == "eu-west-1"

        await asyncio.to_thread(story)


async def test_a_write_can_be_awaited_by_its_number(listening: Make) -> None:
    """The SDK finds the committed and the reconciled LSN, and can tell whether a read saw the write."""
    async with listening(vectors={"freshness_s": 0.1}) as simulator, _index(simulator) as index:
        written = await index.upsert(vectors=VECTORS, namespace="n")
        target = written.response_info.lsn_committed
        early = await index.query(vector=[1, 0], top_k=1, namespace="n")
        late = early
        while not late.response_info.is_reconciled(target):
            late = await index.query(vector=[1, 0], top_k=1, namespace="n")

    assert target == 1
    assert not early.response_info.is_reconciled(target)
    assert early.matches == []
    assert [match.id for match in late.matches] == ["east"]
    assert late.response_info.request_id


async def test_waiting_for_an_index_to_be_ready(listening: Make) -> None:
    """The SDK polls until the status says so, and gives up when it was told to."""
    async with (
        listening(vectors={"ready_s": 60}) as simulator,
        AsyncPinecone(api_key="sdk", host=simulator.url) as project,
    ):
        with pytest.raises(PineconeTimeoutError, match="not ready after 0s"):
            await project.indexes.create(name="slow", schema=SCHEMA, timeout=0)
        described = await project.indexes.describe("slow")

    assert (described.status.ready, described.status.state, described.host) == (False, "Initializing", None)


@pytest.mark.parametrize("key", ["right", "wrong"])
async def test_wrong_keys_are_told_apart_on_both_planes(listening: Make, key: str) -> None:
    """401 becomes the SDK's own exception."""
    async with listening(keys=["right"]) as simulator, AsyncPinecone(api_key=key, host=simulator.url) as project:
        if key == "right":
            assert [index.name async for index in project.indexes.list()] == []
            return
        with pytest.raises(UnauthorizedError):
            await project.indexes.describe("books")
        async with await project.index(host=simulator.url) as index:
            with pytest.raises(UnauthorizedError, match="Invalid API Key"):
                await index.query(vector=[1, 0], top_k=1)


async def test_errors_of_the_control_plane(listening: Make) -> None:
    """Not found, exists already, protected, over the quota: each has its type and the provider's code."""
    async with (
        listening(vectors={"max_indexes": 1}) as simulator,
        AsyncPinecone(api_key="sdk", host=simulator.url) as project,
    ):
        with pytest.raises(NotFoundError) as missing:
            await project.indexes.describe("books")
        await project.indexes.create(name="books", schema=SCHEMA, deletion_protection="enabled")
        with pytest.raises(ConflictError) as twice:
            await project.indexes.create(name="books", schema=SCHEMA)
        with pytest.raises(ForbiddenError) as kept:
            await project.indexes.delete("books")
        with pytest.raises(ForbiddenError) as over:
            await project.indexes.create(name="more", schema=SCHEMA)

    codes = [caught.value.error_code for caught in (missing, twice, kept, over)]
    assert codes == ["NOT_FOUND", "ALREADY_EXISTS", "FORBIDDEN", "QUOTA_EXCEEDED"]


async def test_errors_of_the_data_plane(listening: Make) -> None:
    """A wrong dimension is a 400, a namespace that is not there a 404; neither is tried again."""
    async with listening() as simulator, _index(simulator) as index:
        with pytest.raises(ApiError, match="Vector dimension 3 does not match the dimension of the index 2") as wrong:
            await index.upsert(vectors=[{"id": "a", "values": [1, 2, 3]}])
        with pytest.raises(NotFoundError, match="Namespace not found"):
            await index.delete(delete_all=True, namespace="nowhere")
        operations = simulator.state()["clients"]["sdk"]["surfaces"]["vectors"]["operations"]

    assert wrong.value.status_code == 400
    assert operations == {"upsert": 1, "delete": 1}


async def test_the_hundred_and_first_query_of_a_second_is_refused_and_tried_again(listening: Make) -> None:
    """A crowd over one namespace's limit: the SDK tries again, the ledger counts what that costs."""
    async with listening(vectors={"query_per_s": 2}) as simulator, _index(simulator) as index:
        await index.upsert(vectors=VECTORS, namespace="n")

        queries = [index.query(vector=[1, 0], top_k=1, namespace="n") for _ in range(12)]
        outcomes = await asyncio.gather(*queries, return_exceptions=True)
        tally = simulator.state()["clients"]["sdk"]["surfaces"]["vectors"]

    refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimitError)]
    assert len(refused) + tally["operations"]["query"] - tally["throttled"]["query"] == 12
    assert tally["throttled"]["query"] > 0
    assert {error.retry_after for error in refused} <= {None}
    assert all("the query QPS limit for namespace n (2 QPS)" in str(error) for error in refused)
