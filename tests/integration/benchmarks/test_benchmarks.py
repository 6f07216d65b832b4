"""Each benchmark in a small form: what it promises whatever the machine holds there too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]

SMALL = {
    "utilisation": ["--minutes=1"],
    "overhead": ["--calls=200", "--times=1"],
    "fairness": [],
    "virtual": ["--users=200", "--large=0"],
    "million": ["--calls=20000"],
    "comparison": ["--calls=30"],
    "replicas": ["--seconds=8", "--shared-only"],
    "exact_scan": ["--vectors", "1000", "10000"],
    "simulator": ["--requests=1000"],
}
CLOCKED = ("overhead", "simulator")
"""Whatever these promise is a matter of the machine's speed."""


@pytest.mark.parametrize("name", SMALL)
async def test_a_benchmark_runs_and_its_invariants_hold(benchmark_run: Any, name: str) -> None:
    """No error surfaces and no limit is exceeded; only what a slow machine may break is not looked at."""
    found = await benchmark_run(name, *SMALL[name])

    assert found["benchmark"] == name
    assert all(rows for rows in found["tables"].values())
    promises = [promise for promise in found["promises"] if not promise["clock"]]
    assert [promise for promise in promises if not promise["kept"]] == []
    assert len(promises) > 0 or name in CLOCKED


async def test_a_seed_decides_everything(benchmark_run: Any) -> None:
    """Two runs of one seed come to the same outcomes at the same times; another seed does not."""
    digests = [(await benchmark_run("million", *SMALL["million"], f"--seed={seed}"))["notes"] for seed in (7, 7, 8)]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
