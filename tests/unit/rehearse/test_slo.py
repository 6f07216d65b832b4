"""Objectives: read, compared, and refused where they mean nothing."""

import msgspec
import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.results import Rehearsal
from rushhour.rehearse.slo import MEASURES, judge_slo, judged, parse_slo


def test_objectives_are_compared_with_what_was_measured(finished: Rehearsal) -> None:
    """Shares of all users, times, multiples of the floor, counts and dollars."""
    text = "answered>=99.9%, p95<=20s,wrong<=0,errors = 0,makespan<=1.1x,cost<0.5,p50 <= 20000ms"

    slo = judge_slo(parse_slo(text), finished, "production")

    assert slo.held, slo
    assert [one.objective for one in slo.objectives] == [part.strip() for part in text.split(",")]
    assert slo.objectives[0].shown == "100 %"
    assert slo.objectives[4].shown.endswith("× the floor")


@pytest.mark.parametrize(
    "text", ["answered>=99.9%", "errors<=0", "p95<=1ms", "makespan<0.5x", "answered>999", "cost<=0"]
)
def test_what_does_not_hold_is_told(finished: Rehearsal, text: str) -> None:
    """Naive misses them all."""
    slo = judge_slo(parse_slo(text), finished, "naive")

    assert not slo.held
    assert not slo.objectives[0].held


def test_a_bound_that_is_met_exactly_holds(finished: Rehearsal) -> None:
    """999 of 1,000 are 99.9 %."""
    production = msgspec.structs.replace(finished.runs[1], answered=999)
    almost = msgspec.structs.replace(finished, runs=[production])

    assert judge_slo(parse_slo("answered>=99.9%,answered=999"), almost, "production").held
    assert not judge_slo(parse_slo("answered>99.9%"), almost, "production").held


def test_what_was_not_measured_does_not_hold(finished: Rehearsal) -> None:
    """No answer, no percentile; no run, nothing; an interrupted run cannot hold anything."""
    none = msgspec.structs.replace(finished.runs[1], p95_s=None)

    (one,) = judge_slo(parse_slo("p95<=20s"), msgspec.structs.replace(finished, runs=[none]), "production").objectives

    assert (one.measured, one.held) == (None, False)
    assert not judge_slo(parse_slo("wrong<=0"), finished, "target").held
    partial = msgspec.structs.replace(finished.runs[1], partial=True)
    assert not judge_slo(parse_slo("wrong<=0"), msgspec.structs.replace(finished, runs=[partial]), "production").held


def test_production_is_judged_unless_an_app_of_ones_own_played(finished: Rehearsal) -> None:
    """Nothing is judged where nothing was demanded."""
    own = msgspec.structs.replace(finished.runs[0], pipeline="target")
    both = msgspec.structs.replace(finished, runs=[*finished.runs, own])

    for rehearsal, name in ((finished, "production"), (both, "target")):
        slo = judged(rehearsal, parse_slo("wrong<=0")).slo
        assert slo is not None
        assert slo.pipeline == name
    assert judged(finished, ()).slo is None


def test_all_that_cannot_be_read_is_named() -> None:
    """Each part that is wrong, and what can be measured."""
    with pytest.raises(InvalidRequest) as caught:
        parse_slo("answerd>=3,p95<=3%,cost<=3s,answered>=1x,foo,wrong<=0,zzz<1,p95<=-3s")

    said = str(caught.value)
    assert "there is no measure 'answerd'; did you mean answered?" in said
    assert "p95 is compared with a time (20s, 500ms) or a multiple of the floor (1.1x), not with 3%" in said
    assert "cost is compared with dollars" in said
    assert "answered is compared with a number of users (0) or a part of them (99.9%), not with 1x" in said
    assert "'foo': not of the form" in said
    assert "'p95<=-3s': not of the form" in said
    assert "choose from answered, wrong" in said
    assert "'wrong<=0'" not in said
    assert all(name in said for name in MEASURES)
    assert caught.value.param == "--slo"


@pytest.mark.parametrize("text", ["", " , "])
def test_no_objectives_are_a_mistake(text: str) -> None:
    """An empty variable in a CI script must not pass everything."""
    with pytest.raises(InvalidRequest, match="it is empty"):
        parse_slo(text)
