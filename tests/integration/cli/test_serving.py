"""`rushhour serve`, the real process, asked by the official SDK as any app would."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

Serving = Callable[..., AbstractAsyncContextManager[openai.AsyncOpenAI]]


@pytest.fixture
def serving(tmp_path: Path, environment: dict[str, str]) -> Serving:
    """Run the server on a free port; yield a client of it, and see it end in order."""

    @asynccontextmanager
    async def run(**settings: str) -> AsyncIterator[openai.AsyncOpenAI]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "rushhour.cli",
            "serve",
            "--port",
            "0",
            cwd=tmp_path,
            env={**environment, **{f"RUSHHOUR_{name.upper()}": value for name, value in settings.items()}},
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        try:
            async with asyncio.timeout(60):
                url = await _announced(process.stderr)
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                said = (await process.stderr.read()).decode()
            assert await process.wait() == 0, said
            assert "Traceback" not in said
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    return run


async def _announced(log: asyncio.StreamReader) -> str:
    """Return the URL that the server says it serves at."""
    said = ""
    while line := (await log.readline()).decode():
        said += line
        if "serves at" in line:
            return line.split()[-1]
    raise AssertionError(f"the server ended before it was ready: {said}")


async def test_the_embedded_default_answers_with_citations(rushhour: Any, serving: Serving, tmp_path: Path) -> None:
    """Real files, the real embedding model, no provider: models, an answer with annotations and usage, a stream."""
    (tmp_path / "badges.md").write_text("# Badges\n\nA lost badge is replaced at the reception desk within an hour.\n")
    (tmp_path / "lunch.md").write_text("# Lunch\n\nThe canteen serves lunch from noon until two in the afternoon.\n")
    assert (await rushhour("ingest", "badges.md", "lunch.md", "--collection", "handbook")).status == 0

    async with serving() as client:
        models = [model.id async for model in client.models.list()]
        messages: Any = [{"role": "user", "content": "When does the canteen serve lunch?"}]
        whole = await client.chat.completions.create(model="handbook", messages=messages)
        stream = await client.chat.completions.create(
            model="handbook", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        with pytest.raises(openai.NotFoundError, match="handbook"):
            await client.chat.completions.create(model="nowhere", messages=messages)

    assert models == ["handbook"]
    answer = whole.choices[0].message
    assert "noon until two" in (answer.content or "")
    assert answer.annotations is not None
    cited = answer.annotations[0].url_citation
    assert cited.title == "Lunch"
    assert (answer.content or "")[cited.start_index : cited.end_index].startswith("[")
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    assert whole.model_dump()["citations"][0]["file"] == "lunch.md"
    assert whole.model_dump()["rushhour"]["degraded"] == []
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == answer.content
    assert chunks[-1].usage is not None


async def test_providers_are_chosen_by_settings_alone(
    rushhour: Any, serving: Serving, providers: Any, tmp_path: Path
) -> None:
    """The same commands over OpenAI- and Pinecone-shaped providers; the receipt tells what was paid."""
    (tmp_path / "lunch.md").write_text("# Lunch\n\nThe canteen serves lunch from noon until two in the afternoon.\n")
    async with providers() as settings:
        first = await rushhour("ingest", "lunch.md", "--collection", "handbook", **settings)
        again = await rushhour("ingest", "lunch.md", "--collection", "handbook", **settings)
        async with serving(**settings, chat__price_in="1.0") as client:
            messages: Any = [{"role": "user", "content": "When does the canteen serve lunch?"}]
            whole = await client.chat.completions.create(model="handbook", messages=messages)

    assert "1 embedded" in first.words
    assert "1 unchanged" in again.words
    assert "0 embedded" in again.words
    assert "“The canteen serves lunch from noon until two in the afternoon.” [1]" in str(
        whole.choices[0].message.content
    )
    receipt = whole.model_dump()["rushhour"]
    assert receipt["cost_usd"] > 0
    assert receipt["hops"]["chat"]["calls"] == 1


async def test_a_provider_that_throttles_is_waited_for(
    rushhour: Any, serving: Serving, providers: Any, tmp_path: Path
) -> None:
    """Twenty questions at once against a burst of five: every one is answered, no 429 surfaces."""
    (tmp_path / "lunch.md").write_text("# Lunch\n\nThe canteen serves lunch from noon until two in the afternoon.\n")
    slow_down = {"rpm": 600, "burst_s": 0.5, "latency": {"median_s": 0.0, "sigma": 0.0, "slow_share": 0.0}}
    async with providers(chat=slow_down) as settings:
        await rushhour("ingest", "lunch.md", "--collection", "handbook", **settings)
        async with serving(**settings) as client:  # it is not told of the limit: it learns from the 429s alone
            replies = await asyncio.gather(
                *(
                    client.chat.completions.create(
                        model="handbook",
                        messages=[{"role": "user", "content": f"When does the canteen serve lunch on day {n}?"}],
                    )
                    for n in range(20)
                )
            )

    assert all("noon until two" in str(reply.choices[0].message.content) for reply in replies)
    assert all(reply.model_dump()["rushhour"]["degraded"] == [] for reply in replies)
