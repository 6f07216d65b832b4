"""What a rehearsal plays: how many users, how fast they come, and against which limit.

Another scenario is one more line in `SCENARIOS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from rushhour.errors import InvalidRequest

MOST_USERS = 20_000
"""More would measure this machine's sockets rather than a pipeline."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One Monday morning; durations are in seconds.

    `profile` names the simulator's set of limits and latencies; `rpm` and `burst_s` repeat the one that binds
    (requests a minute, and for how many seconds of it the provider lets one save up), because the floor follows
    from it. `patience_s` is how long a user waits before giving up; `stream` asks for answers word by word.
    `questions` is how many different questions the users draw from; `friday_users` others are asked beforehand, on a
    quiet day, `friday_at_once` at a time.

    Raises InvalidRequest, naming the field, the value and what it may be.
    """

    name: str
    users: int = 1_000
    over_s: float = 5.0
    seed: int = 1
    profile: str = "monday"
    rpm: int = 3_000
    burst_s: float = 1.0
    arrivals: Literal["uniform", "poisson"] = "poisson"
    patience_s: float = 60.0
    stream: bool = True
    questions: int = 250
    friday_users: int = 20
    friday_at_once: int = 5

    def __post_init__(self) -> None:
        self._require("users", 1 <= self.users <= MOST_USERS, f"from 1 to {MOST_USERS:,}")
        self._require("over_s", 0 <= self.over_s <= 3_600, "from 0 to 3,600 seconds")
        self._require("seed", 0 <= self.seed < 2**32, "from 0 to 4,294,967,295")
        self._require("rpm", self.rpm >= 1, "at least 1 request a minute")
        self._require("burst_s", self.burst_s >= 0, "at least 0 seconds")
        self._require("arrivals", self.arrivals in ("uniform", "poisson"), "uniform or poisson")
        self._require("patience_s", self.patience_s > 0, "more than 0 seconds")
        self._require("questions", self.questions >= 1, "at least 1")
        self._require("friday_users", self.friday_users >= 0, "at least 0")
        self._require("friday_at_once", self.friday_at_once >= 1, "at least 1")

    def _require(self, field: str, holds: bool, allowed: str) -> None:
        if not holds:
            value = getattr(self, field)
            raise InvalidRequest(f"Scenario {self.name}: {field} is {value}; use {allowed}.", param=field)

    @property
    def floor_s(self) -> float:
        """Seconds that nobody can beat: the time the provider needs to admit one chat call a user.

        N calls at a limit of L a minute drain in `N / (L/60)`: 20 s for 1,000 users at 3,000 RPM. This is the
        plain drain time, which is what the JSON states. A provider that lets one save up quota admits the first
        calls at once, which shortens it by `burst_credit_s`; against that stands the time of one answer, which
        the plain figure leaves out. When the users themselves take longer to come, their arrivals are the floor.
        """
        return max(self.users / (self.rpm / 60), self.over_s)

    @property
    def limit_per_s(self) -> float:
        """Chat calls that the provider admits a second."""
        return self.rpm / 60

    @property
    def burst_credit_s(self) -> float:
        """Seconds by which saved-up quota can shorten the plain drain time: at most `burst_s`."""
        return min(self.burst_s, self.users / (self.rpm / 60))


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("monday"),  # 1,000 users in 5 s against 3,000 RPM enforced per second
    )
}


def find_scenario(name: str) -> Scenario:
    """Return a scenario by name; raises InvalidRequest, naming those that exist."""
    try:
        return SCENARIOS[name]
    except KeyError:
        known = ", ".join(sorted(SCENARIOS))
        raise InvalidRequest(f"There is no scenario {name!r}; choose from: {known}.", param="scenario") from None


def settings_of(scenario: Scenario) -> dict[str, object]:
    """Return every setting of a scenario by name, for a report."""
    return {field.name: getattr(scenario, field.name) for field in fields(scenario)}


def change(scenario: Scenario, **changes: object) -> Scenario:
    """Return a scenario with some fields changed; None leaves a field as it is. Raises InvalidRequest."""
    return replace(scenario, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]  # checked by Scenario
