"""Each benchmark in a small form: what it promises whatever the machine holds there too."""

from __future__ import annotations

import asyncio
import json
import sys
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
}


async def run(folder: Path, name: str, *options: str) -> dict[str, Any]:
    """Run a benchmark as its reader would, and return what it wrote down."""
    written = folder / f"{name}.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"benchmarks.{name}", f"--json={written}", *SMALL[name], *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()
    found: dict[str, Any] = json.loads(await asyncio.to_thread(written.read_text))
    return found


@pytest.mark.parametrize("name", SMALL)
async def test_a_benchmark_runs_and_its_invariants_hold(tmp_path: Path, name: str) -> None:
    """No error surfaces and no limit is exceeded; only what a slow machine may break is not looked at."""
    found = await run(tmp_path, name)

    assert found["benchmark"] == name
    assert all(rows for rows in found["tables"].values())
    promises = [promise for promise in found["promises"] if not promise["clock"]]
    assert [promise for promise in promises if not promise["kept"]] == []
    assert len(promises) > 0 or name == "overhead"


async def test_a_seed_decides_everything(tmp_path: Path) -> None:
    """Two runs of one seed come to the same outcomes at the same times; another seed does not."""
    digests = [(await run(tmp_path, "million", f"--seed={seed}"))["notes"] for seed in (7, 7, 8)]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]
