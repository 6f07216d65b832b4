"""Benchmarks as their readers run them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]

Benchmark = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def benchmark_run(tmp_path: Path) -> Benchmark:
    """Run a benchmark by its name and options, and return what it wrote down."""

    async def run(name: str, *options: str) -> dict[str, Any]:
        written = tmp_path / f"{name}.json"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", f"benchmarks.{name}", f"--json={written}", *options),
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

    return run
