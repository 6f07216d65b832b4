"""`GET /v1/models` and `GET /v1/models/{model}`: the listed models, or those that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rushhour.simulator import openai_errors
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
        """Return the two routes."""
        return {("GET", "/v1/models"): self.list, ("GET", "/v1/models/{model}"): self.retrieve}

    def reset(self, *, data: bool) -> None:
        """Keep everything: there is nothing to reset."""

    async def list(self, visit: Visit) -> Reply:
        """List them."""
        customer = self._quotas[0].customer(visit)
        if isinstance(customer, Reply):
            return customer
        names = sorted({name for quota in self._quotas for name in quota.models()})
        return json_reply({"object": "list", "data": [_shown(name) for name in names]})

    async def retrieve(self, visit: Visit) -> Reply:
        """Describe one; where no models are listed any name is one."""
        customer = self._quotas[0].customer(visit)
        if isinstance(customer, Reply):
            return customer
        name = visit.request.parameter("{model}")
        if not any(quota.knows(name) for quota in self._quotas):
            return openai_errors.unknown_model(name)
        return json_reply(_shown(name))


def _shown(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "simulated"}
