"""Calls by the second of their arrival, for plots against the provider's ceiling."""

from __future__ import annotations

from typing import Any

_KINDS = ("accepted", "throttled", "failed")


class Series:
    """Per surface and client: how many calls of each second were accepted, throttled, or failed otherwise."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], dict[str, list[int]]] = {}

    def count(self, surface: str, client: str, kind: str, at: float) -> None:
        """Count a call that arrived `at` seconds after the start."""
        kinds = self._counts.get((surface, client))
        if kinds is None:
            kinds = self._counts[surface, client] = {kind: [] for kind in _KINDS}
        seconds = kinds[kind]
        second = max(0, int(at))
        if second >= len(seconds):
            seconds.extend([0] * (second + 1 - len(seconds)))
        seconds[second] += 1

    def as_json(self) -> dict[str, Any]:
        """Return `{surface: {client: {kind: [count of second 0, of second 1, …]}}}`, all kinds equally long."""
        shown: dict[str, Any] = {}
        for (surface, client), kinds in sorted(self._counts.items()):
            length = max(len(seconds) for seconds in kinds.values())
            shown.setdefault(surface, {})[client] = {
                kind: seconds + [0] * (length - len(seconds)) for kind, seconds in kinds.items()
            }
        return shown
