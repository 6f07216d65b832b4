"""Running the command as a user would: another process, an empty folder, a clean environment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rushhour.cli import app
from rushhour.errors import RushhourError
from rushhour.simulator import Simulator, build_profile


@dataclass(frozen=True, slots=True)
class Done:
    """What a command said, and its exit status."""

    status: int
    said: str

    @property
    def words(self) -> str:
        """All it said, without line breaks."""
        return " ".join(self.said.split())

    def failed(self, *expected: str, status: int = 1) -> None:
        """Check that it failed the way it should: helpfully, and without a traceback."""
        assert self.status == status, self.said
        assert "Traceback" not in self.said, self.said
        for words in expected:
            assert words in self.words, self.said


Rushhour = Callable[..., Awaitable[Done]]


@pytest.fixture
def environment() -> dict[str, str]:
    """Return the environment without anything of ours, and wide enough that no line is cut."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RUSHHOUR_")}
    return {**clean, "COLUMNS": "300", "NO_COLOR": "1"}


@pytest.fixture
def rushhour(tmp_path: Path, environment: dict[str, str]) -> Rushhour:
    """Run `rushhour ARGUMENTS…` in the test's folder; settings are given as keywords."""

    async def run(*arguments: str, **settings: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rushhour.cli",
            *arguments,
            cwd=tmp_path,
            env={**environment, **{f"RUSHHOUR_{name.upper()}": value for name, value in settings.items()}},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(90):
                said, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Done(process.returncode or 0, said.decode())

    return run


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run `rushhour ARGUMENTS…` in the test's folder; return all it says, and see it end with `status`.

    It runs in this process, which is quicker; what only `main` does, `rushhour` shows.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str, status: int = 0, piped: bytes = b"") -> str:
        done = CliRunner().invoke(app, arguments, input=piped)
        if isinstance(done.exception, RushhourError):  # as `main` would say it
            assert status == 1, str(done.exception)
            return str(done.exception)
        assert done.exit_code == status, done.output
        return " ".join(done.output.split())

    return run


@pytest.fixture
def providers() -> Callable[..., AbstractAsyncContextManager[dict[str, str]]]:
    """Run simulated providers, quick ones; yield the settings that point everything at them."""

    @asynccontextmanager
    async def make(key: str = "right", **fields: Any) -> AsyncIterator[dict[str, str]]:
        at_once = {"latency": {"median_s": 0.0, "sigma": 0.0, "slow_share": 0.0}}
        content = {
            "keys": ["right"],
            "embeddings": at_once,
            "chat": {**at_once, "tokens_per_s": [5_000, 10_000]},
            "vectors": {**at_once, "freshness_s": 0, "stats_lag_s": 0},
            **fields,
        }
        async with Simulator(build_profile(content), seed=1) as simulator:
            yield {
                "embed__provider": "openai",
                "embed__base_url": f"{simulator.url}/v1",
                "embed__model": "embedding-model",
                "embed__api_key": key,
                "chat__provider": "openai",
                "chat__base_url": f"{simulator.url}/v1",
                "chat__model": "chat-model",
                "chat__api_key": key,
                "vectors__provider": "pinecone",
                "vectors__base_url": simulator.url,
                "vectors__api_key": key,
            }

    return make
