"""The pipeline of the tutorials: correct on a quiet day, and nothing more."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rushhour.rehearse import naive, pipelines
from rushhour.rehearse.corpus import Document, python_manual
from rushhour.rehearse.crowd import Visited, visit_all
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.naive_chunk import chunk
from rushhour.rehearse.processes import running
from rushhour.rehearse.reply import Target
from rushhour.rehearse.visits import Visit


def test_chunks_cover_the_text_and_overlap() -> None:
    """1,000 characters, 200 of them shared with the next; nothing is left out."""
    text = "".join(chr(65 + n % 26) for n in range(2_750))

    chunks = chunk(Document("t", "T", text))

    assert [len(part) for _, part in chunks] == [1_000, 1_000, 1_000, 350]
    assert "".join(part[:800] for _, part in chunks[:-1]) + chunks[-1][1] == text
    assert len({name for name, _ in chunks}) == 4


def test_even_a_short_document_is_a_chunk() -> None:
    """A text shorter than the overlap is not lost."""
    assert chunk(Document("t", "T", "short")) == [("t-0", "short")]


def test_every_topic_of_the_manual_has_chunks() -> None:
    """The real corpus comes out in several hundred chunks with distinct ids."""
    names = [name for document in python_manual() for name, _ in chunk(document)]

    assert len(names) == len(set(names))
    assert len(names) > 400


def test_questions_are_checked_with_as_many_chunks_as_the_pipeline_reads() -> None:
    """The check must not be kinder than the pipeline."""
    assert pipelines.TOP_K == naive.TOP_K


async def test_an_unreachable_provider_becomes_an_internal_error_with_its_kind(tmp_path: Path) -> None:
    """What the SDK raises is handed on as a 500, so that the crowd can tell what happened."""
    env = os.environ | {
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "OPENAI_API_KEY": "naive",
        "PINECONE_HOST": "http://127.0.0.1:1",
        "PINECONE_API_KEY": "naive",
        "NAIVE_NAMESPACE": "n",
        "NAIVE_EMBED_MODEL": "e",
        "NAIVE_CHAT_MODEL": "c",
    }
    argv = [sys.executable, "-m", "rushhour.rehearse.naive", "serve", "--port", "0"]
    seen: list[Visited] = []
    async with running("naive server", argv, env, tmp_path) as child:
        url = (await child.ready_line(60))["url"]
        await visit_all(Target(f"{url}/v1", "m", "k", 30), [Visit(0, 0.0, "Why?", "gold")], seen.append)

    assert (seen[0].status, seen[0].outcome, seen[0].kind) == (500, Outcome.FAILED, "APIConnectionError")
