"""Ways to fail, by name: a new one is one file here and one line in `FAULTS`."""

from __future__ import annotations

from rushhour.simulator.exchange import Ending
from rushhour.simulator.faults.closed import Closed
from rushhour.simulator.faults.contract import Fault
from rushhour.simulator.faults.edge_page import EdgePage
from rushhour.simulator.faults.hang import Hang
from rushhour.simulator.faults.idle_close import IdleClose
from rushhour.simulator.faults.json_error import JsonError
from rushhour.simulator.faults.monthly_quota import MonthlyQuota
from rushhour.simulator.faults.namespace_limit import NamespaceLimit
from rushhour.simulator.faults.no_done import NoDone
from rushhour.simulator.faults.refused import Refused
from rushhour.simulator.faults.reset import Reset
from rushhour.simulator.faults.slow_drip import SlowDrip
from rushhour.simulator.faults.sse_error import SseError
from rushhour.simulator.faults.stall import Stall
from rushhour.simulator.faults.truncated import Truncated

__all__ = ["FAULTS", "Fault", "can_strike"]

_SORRY = "The server had an error while processing your request. Sorry about that!"
_BUSY = "The server is currently overloaded with other requests. Sorry about that! Please retry after a brief wait."

FAULTS: dict[str, Fault] = {
    "rpm_limit": Refused("requests", "429: the requests per minute are used up, by others of the organisation"),
    "tpm_limit": Refused("tokens", "429: the tokens per minute are used up, by others of the organisation"),
    "too_large": Refused("too_large", "429: 'Request too large', which can never fit"),
    "slow_down": Refused("slow_down", "429: slow_down, the traffic grows too steeply"),
    "insufficient_quota": Refused("insufficient_quota", "429: insufficient_quota (money, never to be tried again)"),
    "credit_balance_exhausted": Refused("credit_balance_exhausted", "429: money, the prepaid credits are gone"),
    "organization_spend_limit_exceeded": Refused("organization_spend_limit_exceeded", "429: money, a spend limit"),
    "project_spend_limit_exceeded": Refused("project_spend_limit_exceeded", "429: money, the project's spend limit"),
    "organization_usage_limit_exceeded": Refused("organization_usage_limit_exceeded", "429: money, a usage limit"),
    "namespace_limit": NamespaceLimit(),
    "monthly_quota": MonthlyQuota(),
    "reset": Reset(),
    "closed": Closed(),
    "idle_close": IdleClose(),
    "hang": Hang(),
    "slow_drip": SlowDrip(),
    "server_error": JsonError(500, _SORRY, "server_error", None, (0.1, 1.0)),
    "overloaded": JsonError(503, _BUSY, "service_unavailable_error", "server_is_overloaded", (0.02, 0.2)),
    "bad_gateway": EdgePage(502, "Bad Gateway", (0.05, 0.5)),
    "origin_error": EdgePage(520, "Web server is returning an unknown error", (0.05, 0.5)),
    "origin_timeout": EdgePage(524, "A timeout occurred", (100.0, 100.0)),
    "truncated_body": Truncated(
        Ending.CLOSED, "the body breaks off: the connection closes (FIN) before its last chunk"
    ),
    "cut": Truncated(Ending.RESET, "the body breaks off: the connection is reset in the middle"),
    "stall": Stall(),
    "no_done": NoDone(),
    "sse_error": SseError(),
}


def can_strike(fault: str, surface: str) -> bool:
    """Tell whether a fault exists on a surface."""
    surfaces = FAULTS[fault].surfaces
    return not surfaces or surface in surfaces
