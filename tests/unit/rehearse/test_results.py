"""The arithmetic of the figures, and the shape of the JSON."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from rushhour.rehearse.counting import bins, percentile, served_within
from rushhour.rehearse.crowd import Visited
from rushhour.rehearse.floor import CallTokens
from rushhour.rehearse.judge import Outcome
from rushhour.rehearse.measure import friday_of, load_of, run_of
from rushhour.rehearse.meter import Measured
from rushhour.rehearse.provider import Account, merged
from rushhour.rehearse.results import Rehearsal, Returned, write_json
from rushhour.rehearse.scenario import Tenant


@pytest.mark.parametrize("percent", [0, 25, 50, 95, 99, 100])
def test_percentiles_are_numpys(percent: float) -> None:
    """Linear interpolation between ranks, whatever the order of the values."""
    values = [5.0, 1.0, 9.5, 2.25, 7.0, 3.0]

    assert percentile(values, percent) == pytest.approx(np.percentile(values, percent), abs=1e-4)


def test_a_percentile_of_nothing_is_none() -> None:
    """Not measured is not zero."""
    assert percentile([], 50) is None
    assert percentile([2.0], 99) == 2.0


def test_served_within_counts_all_users() -> None:
    """When only half are answered, the median user is served and the next one never."""
    times = served_within([4.0, 1.0], users=4)

    assert (times[0], times[25], times[50]) == (0.0, 1.0, 4.0)
    assert times[51] is None
    assert len(times) == 101


def test_bins_keep_every_count() -> None:
    """A time on or beyond the end falls into the last bin."""
    assert bins([0.0, 0.24, 0.25, 0.99, 3.0], 0.25, 4) == [2, 1, 0, 2]


def test_a_run_is_counted_from_its_visits() -> None:
    """Outcomes, percentiles of right answers, and the makespan of everybody."""
    visits = [
        Visited(0, 0.0, 0.0, 2.0, Outcome.ANSWERED, first_s=1.0),
        Visited(1, 1.0, 0.5, 4.0, Outcome.ANSWERED, first_s=3.0),
        Visited(2, 2.0, 0.0, 0.1, Outcome.REFUSED),
        Visited(3, 3.0, 0.0, 9.0, Outcome.FAILED, "gave_up"),
        Visited(4, 3.0, 0.0, 1.0, Outcome.WRONG),
    ]

    run = run_of("naive", 6, visits, Account({}, "naive"), Measured(1.234, 50.06), Measured(0.5, 9.0))

    assert (run.answered, run.wrong, run.refused, run.errors) == (2, 1, 1, {"gave_up": 1})
    assert (run.p50_s, run.first_word_p50_s, run.makespan_s) == (3.0, 2.0, 12.0)
    assert (run.cpu_s, run.peak_rss_mb, run.crowd_cpu_s) == (1.23, 50.1, 0.5)
    assert run.done_99_s == pytest.approx(11.72)
    assert sum(run.series.answered) == 2
    assert sum(run.series.unserved) == 3
    assert run.partial
    assert run.embeddings_per_answer == 0.0


def test_a_second_visit_counts_and_the_first_is_told() -> None:
    """Users who were refused and obeyed count as they ended; how many, and how they fared, is told beside it."""
    visits = [
        Visited(
            0, 0.0, 0.0, 5.0, Outcome.ANSWERED, refused_s=0.1, advised_s=2.0, returned=True, degraded=("extractive",)
        ),
        Visited(1, 0.0, 0.0, 5.0, Outcome.REFUSED, refused_s=0.1, advised_s=2.0, returned=True),
        Visited(2, 0.0, 0.0, 0.1, Outcome.REFUSED, refused_s=0.1, advised_s=900.0),
        Visited(3, 0.0, 0.0, 1.0, Outcome.ANSWERED),
    ]

    run = run_of("production", 4, visits, Account({}, "production"), None, Measured())

    assert (run.answered, run.refused, run.refused_first) == (2, 2, 3)
    assert run.returned == Returned(users=2, answered=1, refused=1)
    assert run.degraded == {"extractive": 1}
    assert (run.cpu_s, run.peak_rss_mb) == (None, None)


def test_tenants_are_told_apart() -> None:
    """Each with its own counts and waits."""
    visits = [
        Visited(0, 0.0, 0.0, 2.0, Outcome.ANSWERED, tenant="a"),
        Visited(1, 0.0, 0.0, 9.0, Outcome.ANSWERED, tenant="b"),
        Visited(2, 0.0, 0.0, 9.0, Outcome.FAILED, "gave_up", tenant="b"),
    ]
    tenants = (Tenant("a"), Tenant("b", flood_at_s=0.0))

    calm, flooding = run_of("p", 3, visits, Account({}, "p"), Measured(), Measured(), tenants).tenants

    assert (calm.users, calm.answered, calm.p95_s, calm.flooded) == (1, 1, 2.0, False)
    assert (flooding.users, flooding.answered, flooding.errors, flooding.flooded) == (2, 1, {"gave_up": 1}, True)


@pytest.mark.parametrize(
    ("busiest", "late", "bottleneck"), [(0.5, 0.01, False), (0.9, 0.01, True), (0.5, 0.9, True), (0.5, None, False)]
)
def test_a_busy_simulator_is_a_bottleneck(busiest: float, late: float | None, bottleneck: bool) -> None:
    """Whether it ran out of its core, or let its callers wait."""
    load = load_of(Measured(cpu_s=3.0, wall_s=10.0, busiest=busiest), late)

    assert (load.cpu_share, load.bottleneck) == (0.3, bottleneck)


def test_a_run_without_answers_has_no_figures_of_answers() -> None:
    """Nothing is divided by zero, and nothing is made up."""
    run = run_of("naive", 1, [], Account({}, "naive"), Measured(), Measured())

    assert (run.p50_s, run.cost_per_answer_usd, run.embeddings_per_answer) == (None, None, None)
    assert run.makespan_s == 0.0


def test_friday_counts_right_answers() -> None:
    """The quiet day has a median too."""
    visits = [Visited(n, 0.0, 0.0, 1.0 + n, Outcome.ANSWERED) for n in range(3)]

    friday = friday_of("production", [*visits, Visited(3, 0.0, 0.0, 1.0, Outcome.WRONG)])

    assert (friday.users, friday.answered, friday.median_s) == (4, 3, 2.0)


def test_the_ledger_is_read_per_client() -> None:
    """Calls by API, refusals of every kind, tokens and dollars; another client's do not count."""
    surface = {"calls": 3, "throttled": {"requests": 1, "tokens": 1}, "tokens_in": 10, "tokens_out": 5, "cost_usd": 0.5}
    state = {
        "clients": {"me": {"connections": {"opened": 4}, "surfaces": {"chat": surface, "vectors": surface}}, "you": {}},
        "series": {"chat": {"me": {"accepted": [1, 0], "failed": [0, 1], "throttled": [0, 2]}}},
    }

    account = Account(state, "me")

    assert (account.calls.embeddings, account.calls.vectors, account.calls.chat) == (0, 3, 3)
    assert (account.throttled, account.tokens, account.cost_usd, account.connections) == (4, 30, 1.0, 4)
    assert (account.chat_admitted, account.chat_throttled) == ([1, 1], [0, 2])


def test_everybodys_account_is_the_sum() -> None:
    """An app of somebody's own calls with what keys it likes; seconds that a client was silent count as none."""
    surface = {"calls": 2, "ok": 2, "throttled": {}, "tokens_in": 2_000, "tokens_out": 5, "cost_usd": 0.5}
    state = {
        "clients": {
            "one": {"connections": {"opened": 4}, "surfaces": {"chat": surface}},
            "other": {"connections": {"opened": 1}, "surfaces": {"chat": surface | {"tokens_in": 4_000}}},
        },
        "series": {
            "chat": {
                "one": {"accepted": [1, 1], "failed": [0, 0], "throttled": [0, 0]},
                "other": {"accepted": [2], "failed": [1], "throttled": [3]},
            }
        },
    }

    account = Account(state, None)

    assert (account.calls.chat, account.connections, account.cost_usd) == (4, 5, 1.0)
    assert (account.chat_admitted, account.chat_throttled, account.chat_failed) == ([4, 1], [3, 0], [1, 0])
    assert account.chat_call == CallTokens(prompt=1_500.0, answer=2.5)
    assert Account(state, "nobody").chat_call is None


def test_verdicts_on_several_clients_become_one() -> None:
    """The worst, with every finding under its client's name."""
    good = {"verdict": "good", "lines": [{"severity": "good", "topic": "manners", "count": 1, "text": "fine"}]}
    bad = {"verdict": "bad", "lines": [{"severity": "bad", "topic": "throttled", "count": 9, "text": "too fast"}]}

    both = merged({"a": good, "b": bad})

    assert both is not None
    assert both["verdict"] == "bad"
    assert [line["text"] for line in both["lines"]] == ["b: too fast", "a: fine"]
    assert merged({"a": good}) == good
    assert merged({}) is None


def test_the_json_has_the_promised_keys(finished: Rehearsal, tmp_path: Path) -> None:
    """What scripts read must be there under these names."""
    file = tmp_path / "figures.json"

    write_json(file, finished)

    content = msgspec.json.decode(file.read_bytes())
    assert {"scenario", "users", "floor_s", "runs", "partial", "ingestion", "friday"} <= content.keys()
    assert [run["pipeline"] for run in content["runs"]] == ["naive", "production"]
    for run in content["runs"]:
        assert {
            "answered", "wrong", "refused", "errors", "p50_s", "p95_s", "p99_s", "makespan_s", "provider_calls",
            "throttled", "connections", "tokens", "cost_usd", "cpu_s", "peak_rss_mb",
        } <= run.keys()  # fmt: skip
        assert run["provider_calls"].keys() == {"embeddings", "vectors", "chat"}
        assert sum(run["errors"].values()) + run["answered"] + run["wrong"] + run["refused"] == content["users"]
