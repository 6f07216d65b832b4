"""Sections that only some rehearsals have, and how they tell what happened."""

import msgspec
import pytest

from rushhour.rehearse.figures import answers_over_time, legend, provider_view
from rushhour.rehearse.floor import ceiling_of
from rushhour.rehearse.report import render_report
from rushhour.rehearse.results import FloorNote, Rehearsal, Returned, SimulatorLoad, TenantRun, WindowNote
from rushhour.rehearse.slo import judged, parse_slo
from rushhour.rehearse.story import story

_VERDICT = {
    "verdict": "bad",
    "lines": [{"severity": "bad", "topic": "throttled", "count": 9, "text": "Came back <too> early."}],
}


def _tenant(name: str, flooded: bool = False) -> TenantRun:
    return TenantRun(
        tenant=name, users=500, answered=499, wrong=0, refused=0, refused_first=3, errors={"gave_up": 1},
        p50_s=2.0, p95_s=9.0, flooded=flooded,
    )  # fmt: skip


@pytest.fixture
def eventful(finished: Rehearsal) -> Rehearsal:
    """Return a rehearsal in which everything happened that a report can tell."""
    naive, production = finished.runs
    production = msgspec.structs.replace(
        production,
        refused_first=40,
        returned=Returned(users=40, answered=39, errors={"gave_up": 1}),
        degraded={"extractive": 12},
        tenants=[_tenant("school"), _tenant("script", flooded=True)],
        simulator=SimulatorLoad(cpu_share=0.6, busiest=0.93, late_p99_s=0.31, bottleneck=True),
        verdict=_VERDICT,
    )
    sdk = msgspec.structs.replace(naive, pipeline="sdk")
    return msgspec.structs.replace(
        finished,
        runs=[naive, sdk, production],
        windows=[
            WindowNote(label="overloaded: chat", surfaces=["chat"], kind="overloaded", from_s=5.0, until_s=15.0),
            WindowNote(label="brownout: chat × 10", surfaces=["chat"], kind="brownout", from_s=18.0, until_s=None),
        ],
        faults={"chat": {"reset": 0.02, "no_done": 0.005}},
        floor=FloorNote(
            bound="tokens", tokens_per_call=1_050.0, closed_s=10.0,
            ceiling=ceiling_of(1_000, 50.0, 1.0, 60.0, [(5.0, 15.0)]),
        ),
        pipelines={"production": {"RUSHHOUR_ANSWERS__REUSE": "false", "RUSHHOUR_RETRIEVAL__TOP_K": "4"}},
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        "<h2>Refused, then served</h2>",
        "39 (97.5 %)",
        "<h2>Tenants</h2>",
        "500 at once",
        "1 (most: gave up waiting, 1)",
        "<h2>What went wrong at the provider</h2>",
        "overloaded: chat, from 5 s to 15 s",
        "brownout: chat × 10, from 18 s on",
        "of the chat calls: reset 2 %, no done 0.5 %",
        "Came back &lt;too&gt; early.",
        "may have been the bottleneck",
        "93 %",
        "RUSHHOUR_ANSWERS__REUSE",
        "tokens a minute are the scarcer limit, at about 1,050 a prompt",
        "For 10 s no chat call could succeed",
        "quoted instead of generated",
        'class="sdk">sdk</b> is the same with what careful people change',
    ],
)
def test_the_page_tells_it(eventful: Rehearsal, words: str) -> None:
    """Each in the section of its own."""
    assert words in render_report(eventful)


def test_a_plain_rehearsal_has_none_of_these_sections(finished: Rehearsal) -> None:
    """No empty headings."""
    page = render_report(finished)

    for heading in ("Refused, then served", "Tenants", "What went wrong", "Objectives", "says of its clients"):
        assert heading not in page


def test_the_story_tells_it_too(eventful: Rehearsal) -> None:
    """In sentences, for whoever reads nothing else."""
    told = " ".join(story(eventful))

    assert "overloaded: chat, from 5 s to 15 s; brownout: chat × 10, from 18 s on; 2.5% of the chat calls fail" in told
    assert "40 users had at first been refused with a time to come back; 40 came again when told, and 39" in told
    assert "extractive 12" in told
    assert "school 499 of 500, 95 % within 9.00 s and script (all at once) 499 of 500" in told
    assert "may have held up production (93 % of a core at its busiest, calls of its own up to 310 ms late)" in told


def test_outages_are_shaded(eventful: Rehearsal) -> None:
    """A band each, in the picture of the answers and in every pipeline's picture of the calls, named in the legend."""
    assert answers_over_time(eventful).count('class="band') == 2
    assert provider_view(eventful).count('class="band outage"') == 3
    assert "calls fail" in legend(eventful)
    assert "calls are slow" in legend(eventful)
    assert 'class="band' not in answers_over_time(msgspec.structs.replace(eventful, windows=[]))


def test_calls_that_the_provider_failed_are_drawn_apart(finished: Rehearsal) -> None:
    """They were admitted, but served nobody."""
    assert "391 refused with 429, 1 failed" in provider_view(finished)
    assert provider_view(finished).count('class="bar failed"') == 1


def test_objectives_have_a_table_and_a_sentence(finished: Rehearsal) -> None:
    """What was demanded, what was measured, and whether it held."""
    held = judged(finished, parse_slo("wrong<=0"))
    missed = judged(finished, parse_slo("wrong<=0,p95<=1s"))

    assert "All of them hold." in render_report(held)
    assert "Every objective holds for production." in story(held)
    page = render_report(missed)
    assert "Not all of them hold." in page
    assert "p95&lt;=1s" in page
    assert any(sentence.startswith("production misses: p95<=1s (measured: ") for sentence in story(missed))


def test_an_app_of_ones_own_is_told_without_its_process(finished: Rehearsal) -> None:
    """What was not measured is a dash."""
    own = msgspec.structs.replace(finished.runs[0], pipeline="target", cpu_s=None, peak_rss_mb=None)

    page = render_report(msgspec.structs.replace(finished, runs=[own], ingestion=[]))

    assert "an app of somebody’s own" in page
    assert "<td>largest memory of that process</td><td>–</td>" in page
