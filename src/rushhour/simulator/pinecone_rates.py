"""How fast an index may be called, in the vector store's own words: requests, units and bytes a second.

Queries, upserts, updates and deletes are limited per namespace, the rest per index. No refusal says when to come
back; the wait is for the ledger only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rushhour.simulator.exchange import Visit
from rushhour.simulator.limiter import Bucket
from rushhour.simulator.pinecone_shapes import Rejected, default_named
from rushhour.simulator.profiles import VectorsProfile

_SUPPORT = "contact Pinecone Support (https://app.pinecone.io/organizations/-/settings/support/ticket) to request a"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call takes of one limit: the limit's name in the profile, and the namespace where it holds for one."""

    limit: str
    amount: float = 1.0
    namespace: str | None = None


class Rates:
    """The buckets of one index."""

    def __init__(self, profile: VectorsProfile, index: str) -> None:
        self._profile = profile
        self._index = index
        self._buckets: dict[tuple[str, str | None], Bucket] = {}

    def debit(self, visit: Visit, costs: Sequence[Cost], now: float) -> None:
        """Take all costs of a call, or none and raise Rejected with the 429 of the first that does not fit."""
        buckets = [self._bucket(cost) for cost in costs]
        for cost, bucket in zip(costs, buckets, strict=True):
            if not bucket.fits(cost.amount, now):
                visit.entry.throttled = cost.limit.removesuffix("_per_s")
                visit.entry.retry_after = bucket.wait(cost.amount, now)
                raise Rejected(self._says(cost), code=8, status=429)
        for cost, bucket in zip(costs, buckets, strict=True):
            bucket.take(cost.amount, now)

    def refill(self) -> None:
        """Make every bucket full."""
        self._buckets.clear()

    def _bucket(self, cost: Cost) -> Bucket:
        key = (cost.limit, cost.namespace)
        bucket = self._buckets.get(key)
        if bucket is None:
            per_second: int = getattr(self._profile, cost.limit)
            bucket = self._buckets[key] = Bucket(60 * per_second, burst_s=1)
        return bucket

    def _says(self, cost: Cost) -> str:
        where = f"namespace {default_named(cost.namespace or '')}"
        what = cost.limit.removesuffix("_per_s").replace("_", " ")
        match cost.limit:
            case "query_per_s":
                limit, pace = (
                    f"query QPS limit for {where} ({self._profile.query_per_s} QPS)",
                    "queries, consider Dedicated Read Nodes for your index,",
                )
            case "upsert_per_s" | "update_per_s" | "delete_per_s":
                limit = f"{what} QPS limit for {where} ({getattr(self._profile, cost.limit)} QPS)"
                pace = f"{what} requests"
            case "query_units_per_s":
                limit, pace = f"max query read units per second for index {self._index}", "queries"
            case "upsert_bytes_per_s":
                limit, pace = f"max upsert size limit per second for index {self._index}", "upserts"
            case _:
                what = "describe_index_stats" if what == "stats" else what
                place = f"index {self._index}" if cost.namespace is None else where
                limit, pace = f"max {what} requests per second for {place}", f"{what} requests"
        return f"Request failed. You've reached the {limit}. Pace your {pace} or {_SUPPORT} higher limit."


class Month:
    """The read and write units of a project's month; a month never ends here, but a reset begins a new one."""

    def __init__(self, profile: VectorsProfile) -> None:
        self._limits = {"read": profile.read_units_a_month, "write": profile.write_units_a_month}
        self._used = {"read": 0, "write": 0}

    def debit(self, visit: Visit, kind: str, units: int) -> None:
        """Take units of a kind, `read` or `write`, or raise Rejected with the 429 that no waiting helps against."""
        limit = self._limits[kind]
        if limit is not None and self._used[kind] + units > limit:
            visit.entry.throttled, visit.entry.terminal = "month", True
            doing = "reading" if kind == "read" else "writing"
            message = (
                f"Request failed. You've reached your {kind} unit limit for the current month. To continue {doing} "
                "data, upgrade your plan."
            )
            raise Rejected(message, code=8, status=429)
        self._used[kind] += units

    def begin(self) -> None:
        """Begin a new month."""
        self._used = {"read": 0, "write": 0}
