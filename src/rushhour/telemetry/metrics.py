"""Events as Prometheus metrics, in a registry of their own.

`HANDLERS` says what to count for an event: a new event is one function and one line there. What no line names is not
counted. The names that dashboards and alerts rely on are all in `Instruments`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

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
from rushhour.hops.contract import Used
from rushhour.rag.contract import Answer
from rushhour.telemetry.quality import Quality

SECONDS = (0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Instruments:
    """Every metric, once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"rushhour_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Histogram:
            return Histogram(f"rushhour_{name}", about, labels, buckets=buckets, registry=registry)

        self.requests = counter("requests", "HTTP requests by route and status.", "route", "status")
        self.latency = histogram("request_seconds", "From a request's arrival to its last byte.", "route")
        self.in_flight = Gauge("rushhour_requests_in_flight", "HTTP requests open now.", registry=registry)
        self.answers = counter("answers", "Answers that were sent whole.", "finish_reason")
        self.broken_streams = counter("broken_streams", "Streams ended by an error after 200.", "code")
        self.tokens = counter("tokens", "Tokens that providers charged for.", "kind", "model")
        self.cost = counter("cost_usd", "What the answers cost, in US dollars.")
        self.degraded = counter("degraded", "Answers that were less than they could be.", "label")
        self.fallbacks = counter("fallbacks", "Calls that fell back on something lesser.", "hop", "label")
        self.retries = counter("retries", "Failed attempts that were repeated.", "hop", "code")
        self.throttles = counter("throttles", "429s that closed a hop's gate.", "hop")
        self.queue_wait = histogram("queue_wait_seconds", "Waits for a turn at the pacer.", "hop")
        self.reused = counter("reused", "Replies that cost nothing.", "hop", "how")
        self.batch_size = histogram(
            "batch_items", "How many requests shared a call, as each of them saw it.", "hop", buckets=BATCH_SIZES
        )
        self.hedged = counter("hedged", "Late calls that were made a second time.", "hop")
        self.cache_lost = counter("cache_lost", "Times the shared cache could not be asked or told.", "hop")
        self.ledger_lost = Gauge(
            "rushhour_ledger_lost", "1 while Redis is lost and this replica paces to its share.", registry=registry
        )
        self.circuit_open = Gauge(
            "rushhour_circuit_open", "1 while a hop's circuit is open.", ["hop"], registry=registry
        )


def _used(to: Instruments, event: Used) -> None:
    usage, model = event.usage, event.model
    to.tokens.labels("input", model).inc(usage.input_tokens - usage.cached_tokens)
    to.tokens.labels("cached", model).inc(usage.cached_tokens)
    to.tokens.labels("output", model).inc(usage.output_tokens)


def _admitted(to: Instruments, event: Admitted) -> None:
    to.queue_wait.labels(event.hop).observe(event.waited)


def _gated(to: Instruments, event: Gated) -> None:
    to.throttles.labels(event.hop).inc()


def _retried(to: Instruments, event: Retried) -> None:
    to.retries.labels(event.hop, event.cause.code).inc()


def _reused(to: Instruments, event: Reused) -> None:
    to.reused.labels(event.hop, event.how).inc()


def _degraded(to: Instruments, event: Degraded) -> None:
    to.fallbacks.labels(event.hop, event.label).inc()


def _batched(to: Instruments, event: Batched) -> None:
    # The events inside were counted when the batch emitted them to its own sink.
    to.batch_size.labels(event.hop).observe(event.items)


def _opened(to: Instruments, event: Opened) -> None:
    to.circuit_open.labels(event.hop).set(1)


def _closed(to: Instruments, event: Closed) -> None:
    to.circuit_open.labels(event.hop).set(0)


def _hedged(to: Instruments, event: Hedged) -> None:
    to.hedged.labels(event.hop).inc()


def _cache_lost(to: Instruments, event: CacheLost) -> None:
    to.cache_lost.labels(event.hop).inc()


def _ledger_lost(to: Instruments, _event: LedgerLost) -> None:
    to.ledger_lost.set(1)


def _ledger_back(to: Instruments, _event: LedgerBack) -> None:
    to.ledger_lost.set(0)


Handler: TypeAlias = Callable[[Instruments, Any], None]

HANDLERS: Mapping[type[Event], Handler] = {
    Used: _used,
    Admitted: _admitted,
    Gated: _gated,
    Retried: _retried,
    Reused: _reused,
    Degraded: _degraded,
    Batched: _batched,
    Opened: _opened,
    Closed: _closed,
    Hedged: _hedged,
    CacheLost: _cache_lost,
    LedgerLost: _ledger_lost,
    LedgerBack: _ledger_back,
}


class Metrics:
    """The sink: give `emit` to a call or a batch, and `exposition` to whoever serves `/metrics`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._to = Instruments(self.registry)
        self._quality = Quality(self.registry)

    def emit(self, event: Event) -> None:
        """Count an event."""
        handler = HANDLERS.get(type(event))
        if handler is not None:
            handler(self._to, event)

    def request_began(self) -> None:
        """Count an open request."""
        self._to.in_flight.inc()

    def request_ended(self, route: str, status: int, seconds: float) -> None:
        """Count a finished request; status 499 means that the client left first."""
        self._to.in_flight.dec()
        self._to.requests.labels(route, str(status)).inc()
        self._to.latency.labels(route).observe(seconds)

    def answered(self, answer: Answer) -> None:
        """Count an answer that was sent whole; its receipt says `cost_usd` and `degraded`."""
        self._to.answers.labels(answer.finish_reason).inc()
        self._to.cost.inc(answer.receipt.get("cost_usd") or 0.0)
        for label in answer.receipt.get("degraded") or ():
            self._to.degraded.labels(label).inc()
        self._quality.answered(answer)

    def stream_broke(self, code: str) -> None:
        """Count a stream that ended with an error after its headers were sent."""
        self._to.broken_streams.labels(code).inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics in Prometheus' text format, and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
