"""What to do next: advice follows from the figures, and only from them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rushhour.rehearse.report import render_report
from rushhour.rehearse.report_next import advice, plan_command
from rushhour.rehearse.results import FloorNote, Rehearsal, Returned, Run, SimulatorLoad
from rushhour.rehearse.slo import judged, parse_slo


def _with(finished: Rehearsal, **changes: Any) -> Rehearsal:
    """Return the rehearsal of production alone, its run changed."""
    run = msgspec.structs.replace(finished.runs[1], **changes)
    return msgspec.structs.replace(finished, runs=[run])


def _told(rehearsal: Rehearsal) -> str:
    return " · ".join(f"{one.kind}: {one.text}" for one in advice(rehearsal))


def test_the_wall_leads_to_a_plan(finished: Rehearsal) -> None:
    """Near the floor only the provider's limit is left, and the next command is there to be copied."""
    told = _told(finished)

    assert "act: What is left of the waiting is the provider’s limit on requests a minute: production needed" in told
    assert plan_command(finished) == (
        "rushhour plan --users 1000 --over 5s --profile monday --prompt-tokens 1050 --patience 60s"
    )
    assert plan_command(finished) in render_report(finished)


def test_a_crowd_far_beyond_the_limit_leads_to_a_plan_too(finished: Rehearsal) -> None:
    """Most were sent away and whoever obeyed was served: nothing is left to mend but the limit."""
    crowded = {"answered": 300, "refused": 700, "refused_first": 800, "errors": {}}

    told = _told(_with(finished, **crowded, returned=Returned(users=100, answered=100)))
    doubtful = _told(_with(finished, **crowded, returned=Returned(users=200, answered=100, refused=100)))

    assert "act: 700 users were sent away, since at 50 chat calls a second all 1,000 take 20.0 s whoever asks" in told
    assert "Only a higher limit" in told
    assert "whoever asks" not in doubtful


def test_slots_lead_to_a_plan_of_the_same_answers(turned: Rehearsal) -> None:
    """How long a call takes is how long its answer is; the time of the last one comes on top of the floor."""
    told = _told(turned)

    assert "act: What is left of the waiting is the server’s 4 slots, one of which a call takes for 10.0 s:" in told
    assert plan_command(turned) == (
        "rushhour plan --users 100 --over 5s --profile vllm --prompt-tokens 1050 --answer-tokens 40 --patience 60s"
    )
    refused = msgspec.structs.replace(turned.runs[0], refused_first=50, returned=Returned(users=50, refused=50))
    told = _told(msgspec.structs.replace(turned, runs=[refused]))
    assert "More come than the server’s 4 slots can let pass within their patience: add slots" in told


def test_a_pipeline_slower_than_its_server(turned: Rehearsal) -> None:
    """Beyond a quarter of the floor and one call's time it is not the slots."""
    slow = msgspec.structs.replace(turned.runs[0], makespan_s=312.0)

    told = _told(msgspec.structs.replace(turned, runs=[slow]))

    assert "71.0 s beyond what 4 calls at a time of 10 s each impose" in told


def test_changes_of_the_profile_go_along(finished: Rehearsal) -> None:
    """Each as an option of the plan."""
    changed = {**finished.settings, "profile changed": "chat.rpm=500, chat.faults.reset=0.1"}

    command = plan_command(msgspec.structs.replace(finished, settings=changed))

    assert command.endswith("--set chat.rpm=500 --set chat.faults.reset=0.1")


def test_whom_a_tutorial_failed_is_one_line(finished: Rehearsal) -> None:
    """With the reasons, and what production did with the same provider."""
    naive = finished.runs[0]

    line = next(one.text for one in advice(finished) if one.text.startswith("naive failed"))

    assert f"naive failed {sum(naive.errors.values()):,} of 1,000 users" in line
    assert "With the same provider production answered 1,000" in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"errors": {"upstream_429": 30}, "answered": 970}, "handed the provider’s 429 to 30 of 1,000 users (3.0 %)"),
        ({"errors": {"gave_up": 4}, "answered": 996}, "kept 4 of 1,000 users (0.4 %) waiting until they gave up"),
        ({"errors": {"connection_reset": 4}, "answered": 996}, "lost connections or timed out for 4 of 1,000"),
        ({"errors": {"insufficient_quota": 9}, "answered": 991}, "The provider’s account is empty (9 users"),
        ({"errors": {"circuit_open": 9}, "answered": 991}, "Name a second model under [[chat.fallbacks]]."),
        (
            {"errors": {"internal_error": 3}, "answered": 997},
            "failed 3 of 1,000 users (0.3 %) otherwise: internal error",
        ),
        ({"wrong": 2, "answered": 998}, "act: production gave 2 of 1,000 users (0.2 %) a wrong answer"),
        ({"degraded": {"extractive": 300}}, "answered 300 of 1,000 users (30.0 %) with less than was asked"),
        ({"degraded": {"reduced": 5}}, "good: production answered 5 of 1,000 users (0.5 %) with less"),
        (
            {"refused_first": 40, "returned": Returned(users=40, answered=40)},
            "with a time to come back; 40 of the 40 who obeyed were then answered: its word holds.",
        ),
        (
            {"refused_first": 40, "returned": Returned(users=40, answered=30, refused=10)},
            "30 of the 40 who obeyed were then answered, 10 refused again.",
        ),
        ({"refused_first": 40, "returned": Returned()}, "nobody came back"),
        ({"makespan_s": 40.0}, "production needed 2.00 × the floor: 20.0 s beyond what 50 chat calls a second impose"),
        ({"simulator": SimulatorLoad(bottleneck=True)}, "care: The simulated provider was a bottleneck itself"),
        ({"crowd_late_p99_s": 0.5}, "care: The crowd itself was up to 0.50 s late"),
        (
            {"verdict": {"verdict": "bad", "lines": [{"severity": "bad", "text": "Came back too early."}]}},
            "The provider complains about production: Came back too early.",
        ),
    ],
)
def test_each_figure_has_its_advice(finished: Rehearsal, changes: dict[str, Any], words: str) -> None:
    """And without that figure there is no such line."""
    assert words in _told(_with(finished, **changes))
    assert words not in _told(_with(finished))


def test_a_missed_objective_tells_by_how_much(finished: Rehearsal) -> None:
    """And whether the provider's limit lets anybody reach it."""
    floor = msgspec.structs.replace(finished.floor, waits_s=[0.15 * n for n in range(101)])
    finished = msgspec.structs.replace(finished, floor=floor)
    p95 = finished.runs[1].p95_s
    assert p95 is not None

    told = _told(judged(finished, parse_slo("p95<=10s,wrong<=0,answered>=50%,cost<=0")))

    assert f"production misses p95<=10s by {p95 - 10:.3g} s: measured was" in told
    assert "Nobody can keep it with this limit while every answer is generated: that alone asks 14.2 s." in told
    assert "misses cost<=0 by" in told
    assert "misses wrong" not in told
    assert "misses answered" not in told


def test_while_the_provider_is_closed_only_another_helps(finished: Rehearsal) -> None:
    """No plan of limits moves an outage."""
    floor = FloorNote(bound="requests", closed_s=12.0)

    told = _told(msgspec.structs.replace(finished, floor=floor))

    assert "For 12 s no chat call could succeed." in told
    assert "What is left of the waiting" not in told


def test_a_starved_tutorial_is_not_held_against_it(finished: Rehearsal) -> None:
    """Calls that never arrived tell of this machine as much as of the pipeline."""
    naive = finished.runs[0]
    calls = msgspec.structs.replace(naive.provider_calls, embeddings=20)
    starved = msgspec.structs.replace(naive, provider_calls=calls, cpu_s=23.0, makespan_s=65.0)

    told = advice(msgspec.structs.replace(finished, runs=[starved]))[0]

    assert told.kind == "care"
    assert "980 first calls of naive never reached the provider" in told.text
    assert "23.0 s of CPU in 65.0 s" in told.text
    assert "never reached" not in _told(finished)
    busy = msgspec.structs.replace(starved, cpu_s=60.0)
    assert "never reached" not in _told(msgspec.structs.replace(finished, runs=[busy]))


@pytest.mark.parametrize(
    ("command", "advised"),
    [
        ("rushhour rehearse --scenario monday --users 9", "rushhour rehearse --scenario monday --users 9 --virtual"),
        (
            "rushhour rehearse --users 9 --pipelines naive,sdk,production --slo 'p95<=20s'",
            "rushhour rehearse --users 9 --slo 'p95<=20s' --virtual",
        ),
        ("rushhour rehearse --target http://127.0.0.1:9/v1 --model app --pipelines production", ""),
        ("", ""),
    ],
)
def test_only_what_runs_is_advised(finished: Rehearsal, command: str, advised: str) -> None:
    """On virtual time production plays alone, and an app of one's own not at all."""
    held = msgspec.structs.replace(_with(finished, simulator=SimulatorLoad(bottleneck=True)), command=command)

    assert advice(held)[0].text.startswith("The simulated provider was a bottleneck itself")
    assert advice(held)[0].command == advised


def test_nothing_to_mend_leads_to_a_worse_day(finished: Rehearsal) -> None:
    """Good news is told as such."""
    calm = msgspec.structs.replace(_with(finished), floor=FloorNote(bound="arrivals"))

    assert [one.kind for one in advice(calm)] == ["good", "good"]
    assert "Rehearse a worse day" in _told(calm)


def test_a_partial_rehearsal_decides_nothing(finished: Rehearsal) -> None:
    """Neither does one that measured nothing."""
    partial = msgspec.structs.replace(finished, partial=True)

    assert advice(partial)[0].text.startswith("The rehearsal was interrupted: decide nothing")
    assert _told(msgspec.structs.replace(partial, runs=[])).startswith("care: Nothing was measured")


def test_a_kind_from_outside_is_escaped(finished: Rehearsal) -> None:
    """Kinds of failures come from servers."""
    run: Run = msgspec.structs.replace(finished.runs[0], errors={"<b>": 5})

    assert "<b> (5)" not in render_report(msgspec.structs.replace(finished, runs=[run]))
