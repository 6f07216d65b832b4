"""Connections, backlog, and the vector store over HTTP. Real sockets."""

import asyncio
import io
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from rushhour.simulator import Simulator, SimulatorError

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
QUERY = {"vector": [1, 0], "topK": 1, "namespace": "n"}
HEADERS = {"Api-Key": "socket-client"}


async def test_the_vector_store_over_http(listening: Make) -> None:
    """Upsert, query, fetch, list, statistics and delete, as a client sends them."""
    async with listening() as simulator, aiohttp.ClientSession(simulator.url, headers=HEADERS) as session:
        body = {"vectors": [{"id": "a b", "values": [1, 0]}, {"id": "c", "values": [0, 1]}], "namespace": "n"}
        async with session.post("/vectors/upsert", json=body) as reply:
            assert await reply.json() == {"upsertedCount": 2}
            assert reply.headers["x-pinecone-request-lsn"] == "1"
        async with session.post("/query", json=QUERY) as reply:
            assert [match["id"] for match in (await reply.json())["matches"]] == ["a b"]
            assert reply.headers["x-pinecone-max-indexed-lsn"] == "1"
        asked = [("ids", "a b"), ("ids", "c"), ("namespace", "n")]
        async with session.get("/vectors/fetch", params=asked) as reply:
            assert set((await reply.json())["vectors"]) == {"a b", "c"}
        async with session.get("/vectors/list", params={"namespace": "n", "prefix": "a "}) as reply:
            assert (await reply.json())["vectors"] == [{"id": "a b"}]
        async with session.post("/vectors/delete", json={"deleteAll": True, "namespace": "n"}) as reply:
            assert await reply.json() == {}
        async with session.post("/describe_index_stats", json={}) as reply:
            assert (await reply.json())["totalVectorCount"] == 0


async def test_connections_are_counted(listening: Make) -> None:
    """A pool of five makes five; a client that opens one each call makes as many as it calls."""
    async with listening() as simulator:
        pool = aiohttp.TCPConnector(limit=5)
        async with aiohttp.ClientSession(simulator.url, headers=HEADERS, connector=pool) as session:

            async def ask() -> None:
                async with session.post("/query", json=QUERY) as reply:
                    await reply.read()

            await asyncio.gather(*[ask() for _ in range(30)])
        for _ in range(7):
            async with (
                aiohttp.ClientSession(simulator.url, headers={"Api-Key": "wasteful"}) as session,
                session.post("/query", json=QUERY) as reply,
            ):
                await reply.read()
        state = simulator.state()

    assert state["clients"]["socket-client"]["connections"]["opened"] == 5
    assert state["clients"]["socket-client"]["connections"]["peak"] == 5
    assert state["clients"]["wasteful"]["connections"]["opened"] == 7
    assert state["connections"]["opened"] == 12


async def test_a_crowd_of_connections_is_accepted_at_once(listening: Make) -> None:
    """A thousand connections opened together are all served: the backlog holds them."""
    async with listening(vectors={"query_per_s": 100_000}) as simulator:
        pool = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(simulator.url, headers=HEADERS, connector=pool) as session:

            async def ask() -> int:
                async with session.post("/query", json=QUERY) as reply:
                    await reply.read()
                    return reply.status

            statuses = await asyncio.gather(*[ask() for _ in range(1_000)])

    assert set(statuses) == {200}


async def test_the_control_door_works_over_http(listening: Make) -> None:
    """State and reset, and neither appears in the ledger."""
    async with listening() as simulator, aiohttp.ClientSession(simulator.url, headers=HEADERS) as session:
        async with session.post("/v1/embeddings", json={"input": "x", "model": "m"}) as reply:
            await reply.read()
        async with session.get("/_sim/state") as reply:
            before = await reply.json()
        async with session.post("/_sim/reset", params={"vectors": "1"}) as reply:
            assert reply.status == 200
        async with session.get("/_sim/state") as reply:
            after = await reply.json()

    assert before["clients"]["socket-client"]["total"]["calls"] == 1
    assert before["process"]["cpu_total_s"] > 0
    assert after["clients"] == {}
    assert after["since"]["loop_s"] > before["since"]["loop_s"]


async def test_a_body_over_64_mb_is_refused(listening: Make) -> None:
    """With 413, not a broken connection."""
    body = io.BytesIO(b" " * (64 * 1024 * 1024 + 1))
    async with (
        listening() as simulator,
        aiohttp.ClientSession(simulator.url) as session,
        session.post("/v1/embeddings", data=body) as reply,
    ):
        assert reply.status == 413


async def test_a_reset_is_a_tcp_reset(listening: Make) -> None:
    """The client sees ECONNRESET before any header, not an orderly end."""
    async with listening(vectors={"faults": {"reset": 1.0}}) as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(simulator.url.rsplit(":", 1)[1]))
        writer.write(b"POST /query HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_a_port_in_use_is_named(listening: Make) -> None:
    """The error says which port and what to do."""
    async with listening() as simulator:
        port = int(simulator.url.rsplit(":", 1)[1])
        with pytest.raises(SimulatorError, match=rf"Port {port} on 127\.0\.0\.1 is in use\. Stop what listens there"):
            await Simulator().start(port=port)


async def test_stopping_ends_open_streams_and_frees_the_port(listening: Make) -> None:
    """A client in the middle of a stream sees it end; the port can be taken again."""
    async with listening(chat={"tokens_per_s": [1, 2]}) as simulator, aiohttp.ClientSession() as session:
        port = int(simulator.url.rsplit(":", 1)[1])
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with session.post(f"{simulator.url}/v1/chat/completions", json=body) as reply:
            await reply.content.readany()
            await simulator.stop()
            with pytest.raises(aiohttp.ClientError):
                await reply.read()

        assert await simulator.start(port=port) == port
