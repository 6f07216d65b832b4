"""What is counted of how good answers are."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from rushhour.hops.contract import Passage, Usage
from rushhour.rag.contract import Answer, Citation, Grounding
from rushhour.telemetry.metrics import Metrics

PASSAGES = tuple(Passage(n, f"c/f/{n}", "text", "title", "source", score=0.9 / n) for n in (1, 2, 3, 4))
CITED = (Citation(1, 0, 3, PASSAGES[0]), Citation(2, 3, 6, PASSAGES[1]), Citation(1, 6, 9, PASSAGES[0]))
ANSWER = Answer("[1][2][1]", CITED, PASSAGES, "stop", "m", Usage(), {}, Grounding(0.75, invalid=2))


def values(answer: Answer) -> dict[str, float | None]:
    """Count one answer; return what moved."""
    metrics = Metrics()
    metrics.answered(answer)
    value = metrics.registry.get_sample_value
    return {
        "gap": value("rushhour_retrieval_top_gap_sum"),
        "gaps": value("rushhour_retrieval_top_gap_count"),
        "confidence": value("rushhour_retrieval_confidence_sum"),
        "cited": value("rushhour_citations_cited_share_sum"),
        "valid": value("rushhour_citations_total", {"valid": "yes"}),
        "invalid": value("rushhour_citations_total", {"valid": "no"}),
    }


def test_an_answer_with_citations() -> None:
    """Two of four passages are cited, by three marks; two marks named nothing; the first passage leads by half."""
    assert values(ANSWER) == {
        "gap": pytest.approx(0.45),
        "gaps": 1,
        "confidence": 0.75,
        "cited": 0.5,
        "valid": 3,
        "invalid": 2,
    }


@pytest.mark.parametrize(
    ("answer", "on"),
    [
        (ANSWER, "cited"),
        (replace(ANSWER, citations=()), "uncited"),
        (replace(ANSWER, citations=(), grounding=Grounding(0.01, not_found=True)), "not_found"),
        (replace(ANSWER, citations=(), passages=(), grounding=Grounding(not_found=True)), "empty"),
    ],
)
def test_what_answers_stand_on(answer: Answer, on: str) -> None:
    """Each is counted once, by what it stands on."""
    metrics = Metrics()
    metrics.answered(answer)
    counted = {
        name: metrics.registry.get_sample_value("rushhour_answers_grounded_total", {"on": name})
        for name in ("cited", "uncited", "not_found", "empty")
    }
    assert {name for name, count in counted.items() if count} == {on}


def test_nothing_found_has_no_gap() -> None:
    """An average of what is not there would hide what is."""
    assert values(replace(ANSWER, citations=(), passages=()))["gaps"] == 0


def test_a_passage_alone_leads_by_its_score() -> None:
    """There is no second to compare it with."""
    assert values(replace(ANSWER, citations=(), passages=PASSAGES[:1]))["gap"] == pytest.approx(0.9)


def test_a_reused_answer_is_counted_once() -> None:
    """It was when it was made."""
    assert values(replace(ANSWER, receipt={"reused": "cache"}))["gaps"] == 0
