"""`GET /v1/models`: the listed models, or those that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.quota import Quota


class Models:
    """The model list of the simulated provider; free, unlimited and without faults."""

    name = "models"
    capacity = 10_000
    faults: Mapping[str, float] = {}

    def __init__(self, quotas: Sequence[Quota]) -> None:
        self._quotas = quotas

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the one route."""
        return {("GET", "/v1/models"): self.models}

    def reset(self, *, data: bool) -> None:
        """Keep everything: there is nothing to reset."""

    async def models(self, visit: Visit) -> Reply:
        """List them."""
        customer = self._quotas[0].customer(visit)
        if isinstance(customer, Reply):
            return customer
        names = sorted({name for quota in self._quotas for name in quota.models()})
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "simulated"} for name in names]
        return json_reply({"object": "list", "data": data})
