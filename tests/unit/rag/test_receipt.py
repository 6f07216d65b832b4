"""The receipt accounts for what an answer took."""

import pytest

from rushhour.errors import Throttled, Unavailable
from rushhour.flow.batch import Batched
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.hedge import Hedged
from rushhour.flow.policies.pace import Admitted, Gated
from rushhour.flow.policies.retry import Retried
from rushhour.flow.policies.reuse import Reused
from rushhour.hops.contract import Usage, Used
from rushhour.rag.receipt import Price, Receipt

PRICES = {"chat-model": Price(1.0, 0.5, 4.0), "embed-model": Price(0.1)}


def test_tokens_money_waits_and_retries() -> None:
    """Each hop's account, and the sums."""
    receipt = Receipt(PRICES)
    for event in (
        Admitted("chat", 1.5),
        Retried("chat", 1, 0.2, Throttled()),
        Retried("chat", 2, 0.2, Unavailable()),
        Used("chat", "chat-model", Usage(1_000_000, 200_000, 500_000)),
        Degraded("retrieve", "lexical_only", Unavailable()),
        Degraded("retrieve", "lexical_only", Unavailable()),
    ):
        receipt.record(event)

    said = receipt.as_json()

    assert said["cost_usd"] == pytest.approx(0.8 * 1.0 + 0.2 * 0.5 + 0.5 * 4.0)
    assert said["tokens"] == {"input": 1_000_000, "cached": 200_000, "output": 500_000}
    assert (said["waited_s"], said["retries"], said["degraded"]) == (1.5, 2, ["lexical_only"])
    assert said["hops"]["chat"]["throttled"] == 1


def test_a_shared_call_is_shared_out() -> None:
    """A tenth of a batch pays a tenth of it."""
    receipt = Receipt(PRICES)

    receipt.record(Batched("embed", 10, 0.1, 0.25, (Used("embed", "embed-model", Usage(1000)),)))

    said = receipt.as_json()
    assert said["hops"]["embed"] == {"calls": 0.1, "waited_s": 0.25, "batched_with": 10, "input_tokens": 100}
    assert said["cost_usd"] == pytest.approx(100 * 0.1 / 1e6)


def test_reuse_is_named_and_unknown_models_cost_nothing() -> None:
    """A model without a price is counted in tokens alone."""
    receipt = Receipt()
    receipt.record(Reused("embed", "cache"))
    receipt.record(Used("chat", "free-model", Usage(10, 0, 10)))

    said = receipt.as_json()
    assert said["hops"]["embed"] == {"reused": "cache"}
    assert said["cost_usd"] == 0


def test_attempts_gates_and_hedges_are_told() -> None:
    """Twice to the provider, ten seconds at a closed gate, one second call; two waits add up."""
    receipt = Receipt()
    for event in (
        Admitted("chat", 1.0),
        Gated("chat", 10.0),
        Retried("chat", 1, 10.0, Throttled()),
        Admitted("chat", 2.0),
        Hedged("chat", 0.8),
    ):
        receipt.record(event)

    said = receipt.as_json()

    assert said["hops"]["chat"] == {
        "attempts": 2,
        "waited_s": 3.0,
        "retries": 1,
        "throttled": 1,
        "gated_s": 10.0,
        "hedged": 1,
    }
    assert (receipt.waited_for("chat"), receipt.waited_for("embed")) == (3.0, 0.0)


def test_a_shared_calls_attempts_are_everybodys() -> None:
    """Its own wait is not added to that of its riders, who waited longer."""
    receipt = Receipt()
    shared = (Admitted("embed", 0.2), Retried("embed", 1, 0.1, Unavailable()), Admitted("embed", 0.0))

    receipt.record(Batched("embed", 10, 0.1, 0.5, shared))

    assert receipt.as_json()["hops"]["embed"] == {
        "attempts": 2,
        "waited_s": 0.5,
        "retries": 1,
        "batched_with": 10,
    }


def test_a_reused_answer_cost_nothing_and_says_so() -> None:
    """Its receipt has the shape of every other."""
    made, reused = Receipt(), Receipt(degraded=["lexical_only"])
    reused.reuse("in_flight", 1.5)

    said = reused.as_json()

    assert said.keys() == made.as_json().keys()
    assert made.as_json()["reused"] is None
    assert (said["reused"], said["cost_usd"], said["waited_s"]) == ("in_flight", 0, 1.5)
    assert said["hops"] == {"answer": {"waited_s": 1.5, "reused": "in_flight"}}
    assert said["degraded"] == ["lexical_only"]
