"""Making the crowd's plan, which is the same for every pipeline."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from itertools import accumulate

from rushhour.errors import InvalidRequest
from rushhour.rehearse.arrivals import expected, times_of
from rushhour.rehearse.floor import CallTokens, Floor, floor_of
from rushhour.rehearse.questions import Question
from rushhour.rehearse.scenario import USUAL, Scenario, Tenant
from rushhour.rehearse.visits import Visit


def plan_visits(scenario: Scenario, questions: Sequence[Question]) -> list[Visit]:
    """Return every visit in order of arrival; the same scenario and questions give the same visits."""
    if not questions:
        raise InvalidRequest("There is no question to ask: the corpus holds no sentence that can be told apart.")
    drawn = random.Random(scenario.seed)
    regular = scenario.users - len(_floods(scenario))
    times = times_of(scenario.arrivals, regular, scenario.over_s, drawn, scenario.recorded)
    order = _mixed(scenario, questions, drawn)
    owners = _owners(scenario)
    return [
        Visit(
            user,
            round(at, 6),
            question.text,
            question.gold,
            tenant.name if tenant else "",
            tenant.api_key if tenant else "",
        )
        for user, ((at, tenant), question) in enumerate(zip(_merged(times, owners, scenario), order, strict=True))
    ]


def expected_arrivals(scenario: Scenario) -> list[float]:
    """Return when users come on average, for what follows from a scenario before any chance."""
    floods = [at for at, _ in _floods(scenario)]
    regular = expected(scenario.arrivals, scenario.users - len(floods), scenario.over_s, scenario.recorded)
    return list(heapq.merge(regular, sorted(floods)))


def floor_for(scenario: Scenario, tokens: CallTokens = USUAL) -> Floor:
    """Return a scenario's floor, by its users' expected arrivals and the tokens of a mean chat call."""
    return floor_of(expected_arrivals(scenario), scenario.over_s, scenario.limits, tokens, scenario.closed)


def _mixed(scenario: Scenario, questions: Sequence[Question], drawn: random.Random) -> list[Question]:
    """Choose each user's question: each one before any again, or some far more often than others (Zipf's law)."""
    if scenario.mix == "zipf":
        weights = list(accumulate((rank + 1) ** -scenario.exponent for rank in range(len(questions))))
        return drawn.choices(questions, cum_weights=weights, k=scenario.users)
    order = [questions[user % len(questions)] for user in range(scenario.users)]
    drawn.shuffle(order)
    return order


def _owners(scenario: Scenario) -> list[Tenant | None]:
    """Deal the users who come as the arrivals say to the tenants that do not flood, by their shares, shuffled."""
    counts = _counts(scenario)
    calm = [tenant for tenant in scenario.tenants if tenant.flood_at_s is None]
    owners: list[Tenant | None] = [tenant for tenant in calm for _ in range(counts[tenant.name])]
    if not scenario.tenants:
        return [None] * scenario.users
    random.Random(f"{scenario.seed}-tenants").shuffle(owners)
    return owners


def _floods(scenario: Scenario) -> list[tuple[float, Tenant]]:
    counts = _counts(scenario)
    return [
        (tenant.flood_at_s, tenant)
        for tenant in scenario.tenants
        if tenant.flood_at_s is not None
        for _ in range(counts[tenant.name])
    ]


def _merged(
    times: Sequence[float], owners: Sequence[Tenant | None], scenario: Scenario
) -> list[tuple[float, Tenant | None]]:
    together = [*zip(times, owners, strict=True), *_floods(scenario)]
    return sorted(together, key=lambda visit: visit[0])


def _counts(scenario: Scenario) -> dict[str, int]:
    """Share out all users, the remainders to those who lost most by rounding."""
    whole = sum(tenant.share for tenant in scenario.tenants)
    exact = {tenant.name: scenario.users * tenant.share / whole for tenant in scenario.tenants}
    counts = {name: int(share) for name, share in exact.items()}
    by_loss = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_loss[: scenario.users - sum(counts.values())]:
        counts[name] += 1
    return counts
