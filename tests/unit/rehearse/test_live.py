"""The table in the terminal."""

import io

import msgspec
from rich.console import Console

from rushhour.rehearse.live import Terminal, print_result
from rushhour.rehearse.results import Rehearsal, Returned, TenantRun
from rushhour.rehearse.slo import judged, parse_slo


def _said(rehearsal: Rehearsal) -> str:
    out = io.StringIO()
    print_result(Console(file=out, width=200), rehearsal, [])
    return out.getvalue()


def test_the_table_tells_every_outcome(finished: Rehearsal) -> None:
    """Both pipelines side by side, the floor beside the makespan."""
    said = _said(finished)

    assert "answered rightly" in said
    assert "1,000 (100 %)" in said
    assert "20 s" in said
    assert "refused honestly at first" not in said


def test_second_visits_tenants_and_objectives_are_told(finished: Rehearsal) -> None:
    """Only where there are any."""
    tenant = TenantRun(
        tenant="acme", users=10, answered=9, wrong=0, refused=0, refused_first=1, errors={}, p50_s=1.0, p95_s=4.0
    )
    run = msgspec.structs.replace(
        finished.runs[1], refused_first=7, returned=Returned(users=6, answered=5), tenants=[tenant], degraded={"x": 3}
    )

    said = _said(judged(msgspec.structs.replace(finished, runs=[run]), parse_slo("p95<=1s,wrong<=0")))

    assert "came again as told, and answered" in said
    assert "5 of 6" in said
    assert "9 of 10 · 4.00 s" in said
    assert "Objectives of production: missed" in said
    assert "p95<=1s" in said


def test_words_from_outside_are_no_markup(finished: Rehearsal) -> None:
    """A kind of failure comes from a server's reply."""
    hostile = msgspec.structs.replace(finished.runs[0], errors={"[/red]": 728})

    assert "[/red]" in _said(msgspec.structs.replace(finished, runs=[hostile]))


def test_without_a_terminal_each_step_is_a_line() -> None:
    """A log shows how far a rehearsal has come."""
    out = io.StringIO()

    with Terminal(Console(file=out, width=100)) as terminal:
        terminal.step("Starting")
        terminal.step("Going on")

    assert out.getvalue().splitlines() == ["· Starting", "· Going on"]
