"""Calls that were let in and have not joined the queue yet: what they will cost, by tenant."""

from __future__ import annotations

from types import TracebackType

SETTLED = 1e-9
"""Less than this is what adding and subtracting left over."""


class Promises:
    """Counts what is promised, in the unit of the queue's cost."""

    def __init__(self) -> None:
        self._by_tenant: dict[str, float] = {}
        self.total = 0.0

    def of(self, tenant: str, cost: float) -> Promise:
        """Return a block that counts a call which will come."""
        return Promise(self, tenant, cost)

    def make(self, tenant: str, cost: float) -> None:
        """Count a call that will come."""
        self._by_tenant[tenant] = self._by_tenant.get(tenant, 0.0) + cost
        self.total += cost

    def keep(self, tenant: str, cost: float) -> None:
        """Forget one that came, or never will."""
        rest = self._by_tenant.pop(tenant, 0.0) - cost
        if rest > SETTLED:
            self._by_tenant[tenant] = rest
        self.total = self.total - cost if self._by_tenant else 0.0

    def before(self, tenant: str, cost: float) -> float:
        """Return what fair turns between tenants would serve before a call of this cost that joins now."""
        mine = self._by_tenant.get(tenant, 0.0)
        if len(self._by_tenant) == (mine > 0):  # nobody else
            return mine
        others = (theirs for other, theirs in self._by_tenant.items() if other != tenant)
        return mine + sum(min(theirs, mine + cost) for theirs in others)


class Promise:
    """One call that will come: counted until the block ends."""

    __slots__ = ("_cost", "_promises", "_tenant")

    def __init__(self, promises: Promises, tenant: str, cost: float) -> None:
        self._promises, self._tenant, self._cost = promises, tenant, cost

    def __enter__(self) -> None:
        self._promises.make(self._tenant, self._cost)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._promises.keep(self._tenant, self._cost)
