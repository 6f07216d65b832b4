"""A project of the simulated vector store: its indexes, shared by the data plane and the control plane."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rushhour.simulator.namespaces import Metric, Namespace
from rushhour.simulator.pinecone_rates import Month, Rates
from rushhour.simulator.pinecone_shapes import Rejected, plainly_named
from rushhour.simulator.profiles import VectorsProfile

_BYTES_A_READ_UNIT = 1_000_000_000
_BYTES_A_WRITE_UNIT = 1_000
_LEAST_WRITE_UNITS = 5
HOST_PREFIX = "/hosts"
"""Where the hosts of created indexes begin; the profile's own index has none before its paths."""


@dataclass(slots=True)
class Index:
    """One index: its shape, its namespaces, its limits; `dimension` is None until an upsert decides it."""

    name: str
    profile: VectorsProfile
    rates: Rates
    dimension: int | None = None
    metric: Metric = "cosine"
    ready_at: float = 0.0
    deletion_protection: str = "disabled"
    tags: Mapping[str, str] | None = None
    deployment: Mapping[str, Any] = field(
        default_factory=lambda: {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"}
    )
    namespaces: dict[str, Namespace] = field(default_factory=dict)

    def namespace(self, name: str) -> Namespace | None:
        """Return a namespace, or None where nothing was ever written to it."""
        return self.namespaces.get(plainly_named(name))

    def make_namespace(self, name: str, dimension: int) -> Namespace:
        """Return a namespace, made if need be for vectors of this dimension."""
        found = self.namespace(name)
        if found is None:
            found = Namespace(dimension, self.profile.freshness_s, self.profile.stats_lag_s, self.metric)
            self.namespaces[plainly_named(name)] = found
        return found


class Project:
    """The indexes by name. One of them, the profile's, is always there; its host is the simulator's address."""

    def __init__(self, profile: VectorsProfile) -> None:
        self.profile = profile
        self.month = Month(profile)
        self._own = self._fresh()
        self._created: dict[str, Index] = {}

    def reset(self, *, data: bool) -> None:
        """Fill the buckets and begin a new month; with `data`, drop every record and created index."""
        self.month.begin()
        if data:
            self._own = self._fresh()
            self._created.clear()
        for index in (self._own, *self._created.values()):
            index.rates.refill()

    def at(self, host: str) -> Index:
        """Return the index that a host serves, an empty one being the simulator's own; raises Rejected."""
        index = self._created.get(host) if host else self._own
        if index is None:
            raise Rejected(f"Index {host} not found", code=5, status=404)
        return index

    def listed(self) -> list[Index]:
        """Return the indexes that exist, by name: the profile's own does once its dimension is known."""
        own = [self._own] if self._own.dimension is not None else []
        return sorted([*own, *self._created.values()], key=lambda index: index.name)

    def find(self, name: str) -> Index | None:
        """Return an index that exists."""
        return next((index for index in self.listed() if index.name == name), None)

    def add(self, name: str, dimension: int, metric: Metric) -> Index:
        """Make an index. One called as the profile's own takes its place, and with it the simulator's address."""
        index = Index(name, self.profile, Rates(self.profile, name), dimension, metric)
        if name == self.profile.index:
            self._own = index
        else:
            self._created[name] = index
        return index

    def remove(self, index: Index) -> None:
        """Drop an index with all it holds."""
        if index is self._own:
            self._own = Index(self.profile.index, self.profile, Rates(self.profile, self.profile.index))
        else:
            self._created.pop(index.name, None)

    def path(self, index: Index) -> str:
        """Return what stands before the paths of an index's data plane."""
        return "" if index is self._own else f"{HOST_PREFIX}/{index.name}"

    def _fresh(self) -> Index:
        profile = self.profile
        return Index(profile.index, profile, Rates(profile, profile.index), profile.dimension)


def query_units(namespace: Namespace | None, now: float) -> int:
    """Return the read units of a query: one a GB of the namespace, and at least one."""
    return max(1, math.ceil((namespace.size(now) if namespace is not None else 0) / _BYTES_A_READ_UNIT))


def write_units(received: int) -> int:
    """Return the write units of a request: one a kB, and at least five."""
    return max(_LEAST_WRITE_UNITS, math.ceil(received / _BYTES_A_WRITE_UNIT))
