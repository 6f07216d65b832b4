"""A plan as sentences, as tables in the terminal, and as a page."""

import io
import re

import msgspec
import pytest
from rich.console import Console

from rushhour.rehearse.planning.page import render_page
from rushhour.rehearse.planning.plan import Plan, plan_of
from rushhour.rehearse.planning.provider import find_provider
from rushhour.rehearse.planning.shown import print_plan
from rushhour.rehearse.planning.simulate import Simulated
from rushhour.rehearse.planning.spans import rate, span, used
from rushhour.rehearse.planning.traffic import Traffic
from rushhour.rehearse.planning.verdict import headline, verdict


def _seen(**changes: object) -> Simulated:
    seen = Simulated(
        users=600, over_s=5.0, scale=1.0, answered=480, refused=240, came_back=240, served_later=120, unanswered=120,
        reduced=30, quoted=60, p50_s=20.0, p90_s=50.0, p95_s=55.0, p99_s=59.0, max_s=60.0, makespan_s=65.0,
        curve=[n * 0.6 if n <= 80 else None for n in range(101)], wall_s=3.2,
    )  # fmt: skip
    return msgspec.structs.replace(seen, **changes)


@pytest.fixture
def walled() -> Plan:
    """Return a plan whose provider is too small."""
    traffic = Traffic(users=600, over_s=5.0, told="600 users in 5 s")
    plan = plan_of(traffic, find_provider("openai-tier-1"), 120.0)
    return msgspec.structs.replace(
        plan, simulated=_seen(), version="0.1", made_at=1_795_000_000, command="rushhour plan"
    )


def test_the_verdict_names_the_wall_the_wait_and_what_moves_them(walled: Plan) -> None:
    """One sentence a fact, each with its figure."""
    told = " ".join(verdict(walled))

    assert "The wall is chat tokens: 200,000 a minute, 3,000 a question lets 1.11 a second pass" in told
    assert "at least 8 min 1 s" in told
    assert "95 % within 55 s" in told
    assert "40.0 % are told at once when to come back; 50.0 % of those who did were answered then" in told
    assert "10.0 % got quotations: the chat model was not to be reached in time" in told
    assert "What moves it most: profile openai-tier-2" in told
    assert "More replicas of rushhour do not help: the limit is the provider's." in told
    assert "To be done within 2 min, any one of: 610,000 chat tokens a minute instead of 200,000; or" in told
    assert "600 questions cost $0.36" in told


def test_a_plan_without_a_wall() -> None:
    """Says how much room there is."""
    plan = plan_of(Traffic(users=100, over_s=100.0, told="100 users in 100 s"), find_provider("monday"))

    assert headline(plan) == "100 users in 100 s: no limit of the provider is in the way"
    assert "of which the peak uses 2 %" in verdict(plan)[0]


def test_an_unknown_cost_is_not_made_up() -> None:
    """The options that would tell it are named."""
    plan = plan_of(Traffic(users=100, over_s=5.0), find_provider("quantised"))

    assert "is unknown: give --price-embed, --price-in, --price-out" in verdict(plan)[-1]
    assert "some prices are unknown" in render_page(plan)


def test_the_terminal_shows_all_of_it(walled: Plan) -> None:
    """Limits, waits, changes, cost; a table of TOML is not taken for markup."""
    console = Console(width=160, record=True, file=io.StringIO())

    print_plan(console, walled)

    said = console.export_text()
    assert "chat tokens ← the wall" in said
    assert "[[chat.fallbacks]]" in said
    assert "120 of 240" in said
    assert "more replicas of rushhour" in said


def test_the_page_is_self_contained(walled: Plan) -> None:
    """It can be forwarded as it is, and tells the same."""
    page = render_page(walled)

    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)
    for words in (
        "Which limit is the wall",
        "How long people wait",
        "What would move it",
        "What it costs",
        "8 min 1 s",
        "got quotations, without the chat model",
    ):
        assert words in page
    assert page.count('role="img"') == 2


def test_nobody_answered_still_renders(walled: Plan) -> None:
    """No curve, dashes."""
    nobody = _seen(answered=0, p50_s=None, p90_s=None, p95_s=None, p99_s=None, max_s=None, curve=[0.0] + [None] * 100)

    assert "0 %" in render_page(msgspec.structs.replace(walled, simulated=nobody))


def test_spans_and_rates() -> None:
    """As people say them."""
    assert [span(s) for s in (0.25, 7.264, 99.0, 200.0, 3_600.0, 18_660.0, 3e5, None)] == [
        "250 ms", "7.26 s", "99 s", "3 min 20 s", "1 h", "5 h 11 min", "3.47 days", "–",
    ]  # fmt: skip
    assert [rate(r) for r in (50, 0.5, 0.001, 1e8)] == ["50 a second", "30 a minute", "3.6 an hour", "any number"]
    assert [used(u) for u in (None, 0.0, 0.004, 0.58, 4.0, 180.0)] == ["–", "0 %", "< 1 %", "58 %", "400 %", "180 ×"]
