"""The vector store's 429 that means money: the month's units are used up."""

from __future__ import annotations

from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.faults.contract import VECTORS, Serve

_READS = frozenset({"query", "fetch", "list", "describe_index_stats", "stats", "search"})


class MonthlyQuota:
    """Nothing but an upgrade or the next month helps; the status is that of a limit per second."""

    surfaces = VECTORS
    about = "429: the vector store's units of the month are used up (money, never to be tried again)"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Refuse it at once."""
        visit.entry.throttled, visit.entry.terminal = "month", True
        kind, doing = ("read", "reading") if visit.entry.operation in _READS else ("write", "writing")
        message = (
            f"Request failed. You've reached your {kind} unit limit for the current month. To continue {doing} "
            "data, upgrade your plan."
        )
        return json_reply({"code": 8, "message": message, "details": []}, 429)
