"""From the `[n]` of an answer back to the characters of the file, through real ingestion and retrieval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rushhour.assemble import System, assemble
from rushhour.flow.call import Call
from rushhour.rag.contract import Answer, Question
from rushhour.server.completion_reply import Completion
from rushhour.settings import Settings

HANDBOOK = """# Handbook

Everything one needs to know.

## Lunch

The canteen is on the third floor. It serves lunch from noon until two
in the afternoon. On Friday there is fish.

## Badges

A lost badge is replaced at the reception desk within an hour.
"""


QUOTES = {
    "When does the canteen serve lunch?": "It serves lunch from noon until two\nin the afternoon.",
    "Where is a lost badge replaced?": "A lost badge is replaced at the reception desk within an hour.",
}
NOT_THERE = "Who won the football world cup in 1998?"


async def ask(system: System, question: str) -> Answer:
    """Ask as a door does."""
    async with await system.ask(Question("c", question), Call()) as pieces:
        last = [piece async for piece in pieces][-1]
    assert isinstance(last, Answer)
    return last


async def test_a_citation_leads_to_the_characters_of_its_file(rushhour: Any, tmp_path: Path) -> None:
    """What stands between `start` and `end` in the file is what is quoted; what is not in any file is told."""
    (tmp_path / "handbook.md").write_text(HANDBOOK)
    (tmp_path / "other.md").write_text("# Parking\n\nVisitors park on the second floor of the garage.\n")
    assert (await rushhour("ingest", "handbook.md", "other.md", "--collection", "c")).status == 0

    async with assemble(Settings(data_dir=tmp_path / ".rushhour")) as system:
        answers = {question: await ask(system, question) for question in (*QUOTES, NOT_THERE)}

    for question, quote in QUOTES.items():
        answer = answers[question]
        assert quote in {citation.quote for citation in answer.citations}
        for citation in answer.citations:
            assert (citation.passage.file, citation.passage.page) == ("handbook.md", None)
            assert HANDBOOK[citation.place.start : citation.place.end] == citation.quote
        assert not answer.grounding.not_found
        assert b'"file":"handbook.md"' in Completion("c").whole(answer)
    refused = answers[NOT_THERE]
    assert refused.text.startswith("The documents do not answer this. Closest: ")
    assert refused.grounding.not_found
    assert refused.passages
