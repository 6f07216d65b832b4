"""What is counted for which event."""

from __future__ import annotations

import pytest

from rushhour.errors import Unavailable
from rushhour.flow.batch import Batched
from rushhour.flow.call import Event
from rushhour.flow.ledger.redis_ledger import LedgerBack, LedgerLost
from rushhour.flow.policies.breaker import Closed, Opened
from rushhour.flow.policies.fallback import Degraded
from rushhour.flow.policies.hedge import Hedged
from rushhour.flow.policies.pace import Admitted, Gated
from rushhour.flow.policies.retry import Retried
from rushhour.flow.policies.reuse import Reused
from rushhour.flow.shared_tier import CacheLost
from rushhour.hops.contract import Usage, Used
from rushhour.rag.contract import Answer
from rushhour.telemetry.metrics import HANDLERS, Metrics

EMBED = {"hop": "embed"}
FAILED = Unavailable("down")
COUNTED: list[tuple[Event, str, dict[str, str], float]] = [
    (Used("chat", "m", Usage(100, 40, 7)), "tokens_total", {"kind": "input", "model": "m"}, 60),
    (Used("chat", "m", Usage(100, 40, 7)), "tokens_total", {"kind": "cached", "model": "m"}, 40),
    (Used("chat", "m", Usage(100, 40, 7)), "tokens_total", {"kind": "output", "model": "m"}, 7),
    (Admitted("embed", 1.5), "queue_wait_seconds_sum", EMBED, 1.5),
    (Gated("embed", 3.0), "throttles_total", EMBED, 1),
    (Retried("embed", 1, 0.1, FAILED), "retries_total", {**EMBED, "code": "upstream_unavailable"}, 1),
    (Reused("embed", "cache"), "reused_total", {**EMBED, "how": "cache"}, 1),
    (Degraded("embed", "lexical_only", FAILED), "fallbacks_total", {**EMBED, "label": "lexical_only"}, 1),
    (Batched("embed", 8, 0.1, 0.0, (Gated("embed", 1.0),)), "batch_items_sum", EMBED, 8),
    (Opened("embed", 5.0, "failures"), "circuit_open", EMBED, 1),
    (Hedged("embed", 0.7), "hedged_total", EMBED, 1),
    (CacheLost("embed", FAILED), "cache_lost_total", EMBED, 1),
    (LedgerLost("ledger", 4, "reset"), "ledger_lost", {}, 1),
]


@pytest.mark.parametrize(("event", "name", "labels", "value"), COUNTED)
def test_events(event: Event, name: str, labels: dict[str, str], value: float) -> None:
    """Each event moves its metric, with its labels."""
    metrics = Metrics()
    metrics.emit(event)
    assert metrics.registry.get_sample_value(f"rushhour_{name}", labels) == value


def test_every_handler_is_tested() -> None:
    """A new line in the registry needs a line above."""
    assert {type(event) for event, *_ in COUNTED} | {Closed, LedgerBack} == set(HANDLERS)


def test_a_closed_circuit_is_closed() -> None:
    """The gauge goes back."""
    metrics = Metrics()
    metrics.emit(Opened("embed", 5.0, "failures"))
    metrics.emit(Closed("embed"))
    assert metrics.registry.get_sample_value("rushhour_circuit_open", EMBED) == 0


def test_a_ledger_that_is_back_is_not_lost() -> None:
    """The gauge goes back."""
    metrics = Metrics()
    metrics.emit(LedgerLost("ledger", 4, "reset"))
    metrics.emit(LedgerBack("ledger", 2.0))
    assert metrics.registry.get_sample_value("rushhour_ledger_lost") == 0


def test_what_travels_inside_a_batch_is_counted_once() -> None:
    """The shared call's own events went to the batch's sink already."""
    metrics = Metrics()
    metrics.emit(Batched("embed", 8, 0.1, 0.0, (Gated("embed", 1.0),)))
    assert metrics.registry.get_sample_value("rushhour_throttles_total", EMBED) is None


def test_unknown_events_are_not_counted() -> None:
    """An event without a line in the registry does no harm."""

    class Novelty(Event, frozen=True):
        pass

    metrics = Metrics()
    before = metrics.exposition()
    metrics.emit(Novelty("embed"))
    assert metrics.exposition() == before


def test_answers() -> None:
    """The receipt's cost and labels are counted with the answer."""
    metrics = Metrics()
    metrics.answered(Answer("", (), (), "stop", "m", Usage(), {"cost_usd": 0.5, "degraded": ["extractive"]}))
    metrics.answered(Answer("", (), (), "stop", "m", Usage()))
    value = metrics.registry.get_sample_value
    assert value("rushhour_answers_total", {"finish_reason": "stop"}) == 2
    assert value("rushhour_cost_usd_total") == 0.5
    assert value("rushhour_degraded_total", {"label": "extractive"}) == 1


def test_requests() -> None:
    """Open requests go up and down, done ones are counted with their latency."""
    metrics = Metrics()
    metrics.request_began()
    metrics.request_began()
    metrics.request_ended("/x", 200, 0.3)
    value = metrics.registry.get_sample_value
    assert value("rushhour_requests_in_flight") == 1
    assert value("rushhour_requests_total", {"route": "/x", "status": "200"}) == 1
    assert value("rushhour_request_seconds_bucket", {"route": "/x", "le": "0.5"}) == 1
    assert value("rushhour_request_seconds_bucket", {"route": "/x", "le": "0.25"}) == 0


def test_two_sinks_share_nothing() -> None:
    """Each has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.stream_broke("x")
    assert b'code="x"' in one.exposition()[0]
    assert b'code="x"' not in other.exposition()[0]
