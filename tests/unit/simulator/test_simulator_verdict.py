"""The verdict on a client, from histories made by hand: pure arithmetic."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.simulator.conduct import Conduct
from rushhour.simulator.verdict import Figures, judge, worst

FOREVER = float("inf")
Make = Callable[..., Any]


# ---- histories


def test_sending_a_hopeless_call_again_is_counted_by_its_kind() -> None:
    """Each further attempt counts; a call that asks something else does not."""
    conduct = Conduct()
    for fingerprint, kind in ((1, "too_large"), (2, "400")):
        conduct.asked(fingerprint, 0.0)
        conduct.refused(fingerprint, 0.0, FOREVER, kind)
    for fingerprint in (1, 1, 2, 3):
        conduct.asked(fingerprint, 500.0)

    assert conduct.terminal_retries == {"too_large": 2, "400": 1}


@pytest.mark.parametrize(("after_s", "counted"), [(1, 1), (60, 1), (61, 0)])
def test_after_a_minute_a_refusal_for_money_may_be_over(after_s: float, counted: int) -> None:
    """Somebody may have paid; the same question is then no retry."""
    conduct = Conduct()
    conduct.refused(7, 0.0, FOREVER, "billing")

    conduct.asked(7, after_s)

    assert conduct.terminal_retries.total() == counted


def test_waits_are_measured_against_the_advice() -> None:
    """Half a second too early, then on time, then late: one impatient retry, two patient ones."""
    conduct = Conduct()
    for arrival in (2.5, 6.0, 11.0):
        conduct.refused(1, arrival - 2.5 if arrival == 2.5 else arrival - 3.0, 3.0, "requests")
        conduct.asked(1, arrival)

    assert (conduct.too_early, conduct.patient) == (1, 2)
    assert conduct.early_by_s == pytest.approx(0.5)


def test_an_sdk_that_says_first_attempt_is_believed() -> None:
    """Another user who asks the same is not impatient; a told retry is counted as one."""
    conduct = Conduct()
    conduct.refused(1, 0.0, 10.0, "tokens")

    conduct.asked(1, 1.0, attempt=0)
    conduct.asked(1, 2.0, attempt=1)

    assert (conduct.too_early, conduct.told_retries) == (1, 1)


def test_success_forgets_the_refusal() -> None:
    """Asking again later is a new call."""
    conduct = Conduct()
    conduct.refused(1, 0.0, 1.0, "requests")
    conduct.asked(1, 1.0)
    conduct.served(1, 0.01, delivered=True)

    conduct.asked(1, 1.1)

    assert (conduct.patient, conduct.too_early) == (1, 0)


def test_what_is_paid_again_is_a_duplicate() -> None:
    """Three times the same at a cost are two duplicates; what is free is none; an abandoned reply was paid."""
    conduct = Conduct()
    for fingerprint, cost, delivered in (
        (1, 0.5, True),
        (1, 0.5, True),
        (1, 0.25, False),
        (2, 0.0, True),
        (2, 0.0, True),
    ):
        conduct.served(fingerprint, cost, delivered=delivered)

    assert (conduct.duplicates, conduct.duplicate_cost_usd, conduct.abandoned_cost_usd) == (2, 0.75, 0.25)


def test_each_half_answer_wants_a_question_of_its_own() -> None:
    """Two broke off, one was asked again: one was let be. A question from before does not count."""
    conduct = Conduct()
    conduct.asked(1, 0.0)
    conduct.half_served(1)
    conduct.half_served(1)
    conduct.asked(1, 1.0)
    conduct.asked(2, 1.0)

    assert (conduct.truncated, conduct.reasked, conduct.unasked) == (2, 1, 1)


# ---- findings


def test_a_client_without_a_blemish_is_told_so() -> None:
    """One line, good."""
    lines = judge(Figures(calls=1_000, ok=1_000, connections=20, peak_connections=20, patient=5))

    assert [(line.severity, line.text) for line in lines] == [("good", "1,000 calls, and nothing to object to.")]
    assert worst(lines) == "good"


def test_a_client_that_never_called_is_no_division_by_zero() -> None:
    """Nothing, and nothing to object to."""
    assert worst(judge(Figures())) == "good"


@pytest.mark.parametrize(
    ("figures", "topic", "severity", "words"),
    [
        (
            Figures(terminal_retries={"billing": 2, "400": 1}),
            "retries of terminal errors",
            "bad",
            "Sent 3 calls again that can never succeed: 1 after status 400, 2 after a refusal for money.",
        ),
        (
            Figures(too_early=4, early_by_s=2.0, patient=6),
            "waits shorter than advised",
            "bad",
            "Came back too early 4 of 10 times after a 429, 0.50 s too early on average.",
        ),
        (
            Figures(truncated=3, reasked=2),
            "truncated answers accepted",
            "bad",
            "1 of 3 answers that broke off in the middle was never asked for again",
        ),
        (Figures(calls=1_000, throttled=20), "throttled", "note", "2.0% of 1,000 calls were refused with 429."),
        (Figures(calls=1_000, throttled=51), "throttled", "bad", "5.1% of 1,000 calls"),
        (
            Figures(duplicates=1, duplicate_cost_usd=0.5, cost_usd=2),
            "duplicates paid for",
            "note",
            "Paid $0.5000 of $2.0000 for 1 call that asked exactly what had been answered before.",
        ),
        (
            Figures(calls=100, abandoned=6, abandoned_cost_usd=0.1),
            "abandoned",
            "bad",
            "Left 6 calls of 100 before the reply was through, and paid $0.1000 for them.",
        ),
        (Figures(calls=100, connections=90), "connections", "note", "Opened 90 connections for 100 calls"),
        (Figures(calls=9_000, connections=1_500, peak_connections=1_200), "connections", "note", "Held 1,200"),
    ],
)
def test_each_finding_says_how_bad_and_what_to_do(figures: Figures, topic: str, severity: str, words: str) -> None:
    """In plain words, with the figures."""
    lines = judge(figures)

    assert [(line.topic, line.severity) for line in lines] == [(topic, severity)]
    assert lines[0].text.startswith(words)


def test_a_little_throttling_and_a_few_connections_are_no_finding() -> None:
    """One per cent of 429s is what a pacer that learns a limit meets; five calls may open five connections."""
    assert worst(judge(Figures(calls=1_000, throttled=10, abandoned=10))) == "good"
    assert worst(judge(Figures(calls=5, connections=5))) == "good"


def test_the_worst_comes_first() -> None:
    """Findings are sorted by severity."""
    lines = judge(Figures(calls=100, connections=100, duplicates=1, too_early=1))

    assert [line.severity for line in lines] == ["bad", "note", "note"]
    assert worst(lines) == "bad"


# ---- through the control door


async def test_a_client_is_judged_by_what_it_did(simulated: Make) -> None:
    """A too-large call sent twice, an impatient retry, a truncated stream taken as it is, and a duplicate."""
    client = simulated(chat={"rpm": 6, "tpm": 5_000})
    large, small = "x" * 40_000, "hello there"
    await client.chat(large)
    await client.chat(large)
    await client.chat(small)
    await client.chat(small)
    await client.post("/_sim/faults", {"surface": "chat", "fault": "no_done"})
    await client.chat("another question", stream=True)
    for number in range(3):
        await client.chat(f"number {number}")
    throttled = await client.chat("impatient")
    await client.chat("impatient")

    verdict = msgspec.json.decode((await client.get("/_sim/verdict", client="tester")).body)["clients"]["tester"]

    assert throttled.status == 429
    assert verdict["verdict"] == "bad"
    topics = {line["topic"]: line["count"] for line in verdict["lines"]}
    assert topics["retries of terminal errors"] == 1
    assert topics["waits shorter than advised"] == 1
    assert topics["truncated answers accepted"] == 1
    assert topics["duplicates paid for"] == 1
    assert verdict["figures"]["terminal_retries"] == {"too_large": 1}


async def test_asking_again_after_a_half_answer_is_good_manners(simulated: Make) -> None:
    """The stream broke off, the client asked again, and all is well."""
    client = simulated()
    await client.post("/_sim/faults", {"surface": "chat", "fault": "truncated_body"})
    await client.chat(stream=True)
    await client.chat(stream=True)

    assert client.simulator.verdict("tester")["tester"]["verdict"] == "good"


async def test_a_client_that_nobody_knows_is_named(simulated: Make) -> None:
    """404 with those that exist; a wrong parameter is 400; the ledger alone is a door of its own."""
    client = simulated()
    await client.chat()

    unknown = await client.get("/_sim/verdict", client="nobody")
    wrong = await client.get("/_sim/verdict", name="tester")
    ledger = msgspec.json.decode((await client.get("/_sim/ledger")).body)

    assert (unknown.status, wrong.status) == (404, 400)
    assert b"Known are: tester" in unknown.body
    assert set(ledger) == {"clients", "surfaces", "series"}
    assert ledger["clients"]["tester"]["total"]["calls"] == 1
