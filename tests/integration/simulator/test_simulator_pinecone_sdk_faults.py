"""Each fault as the official Pinecone SDK sees it: the exception it raises, and how often it tried. Real sockets."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from pinecone import AsyncPinecone, Pinecone
from pinecone._internal.http_client import get_budget_registry
from pinecone.errors import PineconeConnectionError, PineconeError, PineconeTimeoutError, RateLimitError, ServiceError

from rushhour.simulator import Simulator
from rushhour.simulator.faults.orders import Order

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
SHORT_S = 1.0
"""The patience of a client that is to lose it; long enough for a busy machine to hear of every attempt before that."""
ASKED: Any = {"vector": [1.0, 0.0], "top_k": 1, "namespace": "n"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the SDK's waits away, which only cost time here, and give it the retry budget of a new process."""

    async def at_once(_delay: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("pinecone._internal.http_client._retry_sleep", lambda _delay: None)
    monkeypatch.setattr("pinecone._internal.http_client._async_retry_sleep", at_once)
    get_budget_registry()._reset()


async def _query(kind: str, simulator: Simulator, times: int = 1, timeout: float = 5.0) -> None:
    """Query with the synchronous client in a thread, or with the asynchronous one."""
    if kind == "async":
        async with (
            AsyncPinecone(api_key="sdk", host=simulator.url, timeout=timeout) as project,
            await project.index(host=simulator.url) as index,
        ):
            for _ in range(times):
                await index.query(**ASKED)
        return

    def ask() -> None:
        with (
            Pinecone(api_key="sdk", host=simulator.url, timeout=timeout) as project,
            project.index(host=simulator.url) as index,
        ):
            for _ in range(times):
                index.query(**ASKED)

    await asyncio.to_thread(ask)


def _account(simulator: Simulator) -> Any:
    """Return what the ledger says, read once the simulator has stopped: by then every call is settled."""
    return simulator.state()["clients"]["sdk"]


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        ("namespace_limit", RateLimitError, 4),
        ("monthly_quota", RateLimitError, 4),
        ("server_error", ServiceError, 4),
        ("overloaded", ServiceError, 4),
        ("bad_gateway", ServiceError, 4),
        ("origin_error", ServiceError, 1),
        ("reset", PineconeConnectionError, 4),
        ("closed", PineconeConnectionError, 4),
        ("hang", PineconeTimeoutError, 4),
        ("truncated_body", PineconeConnectionError, 1),
        ("cut", PineconeConnectionError, 1),
        ("slow_drip", PineconeTimeoutError, 1),
    ],
)
async def test_every_fault_raises_the_sdk_s_own_exception(
    listening: Make, kind: str, fault: str, error: type[PineconeError], attempts: int
) -> None:
    """Three retries up to the headers, money or not; none of a 520, and none once the body has begun."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="vectors", count=10))
        with pytest.raises(error):
            await _query(kind, simulator, timeout=SHORT_S if error is PineconeTimeoutError else 5.0)

    account = _account(simulator)
    assert account["total"]["calls"] == attempts
    assert account["retries_after_terminal"] == (attempts - 1 if fault == "monthly_quota" else 0)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("fault", ["namespace_limit", "overloaded", "bad_gateway", "reset", "closed"])
async def test_what_passes_is_survived(listening: Make, kind: str, fault: str) -> None:
    """Three failures and then an answer: the caller sees only the answer."""
    async with listening() as simulator:
        simulator.inject(Order(fault=fault, surface="vectors", count=3))
        await _query(kind, simulator)

    total = _account(simulator)["total"]
    assert (total["calls"], total["ok"]) == (4, 1)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_idle_connection_that_closes_is_tried_again(listening: Make, kind: str) -> None:
    """The call that met the closing connection goes out once more over a new one."""
    async with listening() as simulator:
        simulator.inject(Order(fault="idle_close", surface="vectors", count=1))
        await _query(kind, simulator, times=2)

    account = _account(simulator)
    assert account["connections"]["opened"] == 2
    assert account["total"]["ok"] == 2


async def test_retries_end_when_the_budget_of_a_host_is_spent(listening: Make) -> None:
    """Half of a hundred failures without a success, and the SDK no longer retries: 12 × 4 + 2 + 7 × 1 attempts."""
    async with (
        listening() as simulator,
        AsyncPinecone(api_key="sdk", host=simulator.url) as project,
        await project.index(host=simulator.url) as index,
    ):
        simulator.inject(Order(fault="namespace_limit", surface="vectors", count=1_000))
        for _ in range(20):
            with pytest.raises(RateLimitError):
                await index.query(**ASKED)

    assert _account(simulator)["total"]["calls"] == 57
