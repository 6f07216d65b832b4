"""Every program on the library page runs as it stands, against a simulated provider on loopback."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from rushhour.simulator import Simulator, build_profile

PAGE = Path(__file__).parents[3] / "docs" / "library.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
QUICK = {"latency": {"median_s": 0.01, "sigma": 0.0, "slow_share": 0.0}}


def test_the_page_has_programs() -> None:
    """The pattern above finds what it should."""
    assert len(PROGRAMS) >= 6


@pytest.mark.parametrize("program", PROGRAMS, ids=range(1, len(PROGRAMS) + 1))
async def test_a_program_runs(program: str, tmp_path: Path) -> None:
    """It ends without an error and without a warning."""
    script = tmp_path / "program.py"
    script.write_text(program, "utf-8")
    profile = build_profile({"chat": {**QUICK, "tokens_per_s": [5_000, 10_000]}, "embeddings": QUICK})
    async with Simulator(profile, seed=1) as simulator:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-Werror",
            str(script),
            env={**os.environ, "OPENAI_BASE_URL": f"{simulator.url}/v1", "OPENAI_API_KEY": "reader"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    assert process.returncode == 0, err.decode()
    assert err == b""
    assert out or "print(" not in program
