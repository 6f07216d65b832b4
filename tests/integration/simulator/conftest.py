"""A simulator on a real socket, quick enough for tests."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from rushhour.simulator import Simulator, build_profile

Make = Callable[..., AbstractAsyncContextManager[Simulator]]
QUICK = {"latency": {"median_s": 0.0, "sigma": 0.0, "slow_share": 0.0}}


@pytest.fixture
def listening() -> Make:
    """Make simulators that listen, given the fields of their profile; latencies are 0 unless said."""

    @asynccontextmanager
    async def make(**fields: Any) -> AsyncIterator[Simulator]:
        content = {
            **fields,
            "embeddings": {**QUICK, **fields.get("embeddings", {})},
            "chat": {**QUICK, "tokens_per_s": [5_000, 10_000], **fields.get("chat", {})},
            "vectors": {**QUICK, "freshness_s": 0, "stats_lag_s": 0, **fields.get("vectors", {})},
        }
        async with Simulator(build_profile(content), seed=1) as simulator:
            yield simulator

    return make
