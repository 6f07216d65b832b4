"""A 429 of the OpenAI kinds, without the traffic that would earn it."""

from __future__ import annotations

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults.contract import OPENAI, Serve, missed


class Refused:
    """The quota refuses the call for a reason that is not the call's: others drained it, or nobody paid.

    The refusal comes from the quota itself, so that message, headers and limits agree. A call with a wrong key or
    body is told so first.
    """

    surfaces = OPENAI

    def __init__(self, refusal: str, about: str) -> None:
        self._refusal = refusal
        self.about = about

    async def strike(self, visit: Visit, serve: Serve) -> Reply:
        """Have the quota refuse it."""
        visit.refusal = self._refusal
        reply = await serve(visit)
        return reply if reply.status == 429 else missed(visit, reply)
