"""Ways to fail, by name: a new one is one file here and one line in `FAULTS`."""

from __future__ import annotations

from collections.abc import Mapping

from rushhour.simulator.draws import Draw
from rushhour.simulator.faults.bad_gateway import BadGateway
from rushhour.simulator.faults.contract import Fault
from rushhour.simulator.faults.reset import Reset

__all__ = ["FAULTS", "Fault", "pick"]

FAULTS: dict[str, Fault] = {
    "reset": Reset(),
    "bad_gateway": BadGateway(),
}


def pick(shares: Mapping[str, float], draw: Draw) -> str | None:
    """Choose the fault that strikes a call, by each fault's share of all calls; mostly none."""
    luck = draw.uniform("fault")
    for name, share in shares.items():
        if luck < share:
            return name
        luck -= share
    return None
