"""Paths that hold names: `/indexes/{index}` is the pattern of `/indexes/books`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from msgspec import structs

from rushhour.simulator.exchange import Request, Surface


class Paths:
    """Knows the patterns of all routes; what a path is literally comes before what it could stand for."""

    def __init__(self, surfaces: Iterable[Surface]) -> None:
        self._literal: set[str] = set()
        self._named: dict[int, list[tuple[str, list[str]]]] = {}
        for pattern in dict.fromkeys(path for surface in surfaces for _, path in surface.routes()):
            if "{" in pattern:
                segments = pattern.split("/")
                self._named.setdefault(len(segments), []).append((pattern, segments))
            else:
                self._literal.add(pattern)

    def resolve(self, request: Request) -> Request:
        """Return the request at the pattern of its path; what has no pattern is returned as it is.

        Each name becomes a query parameter that keeps its braces, so that no parameter of a client's is taken for it.
        """
        if request.path in self._literal:
            return request
        segments = request.path.split("/")
        for pattern, wanted in self._named.get(len(segments), ()):
            names = _match(wanted, segments)
            if names is not None:
                return structs.replace(request, path=pattern, query={**request.query, **names})
        return request


def _match(wanted: list[str], segments: list[str]) -> Mapping[str, list[str]] | None:
    names: dict[str, list[str]] = {}
    for pattern, segment in zip(wanted, segments, strict=True):
        if pattern.startswith("{"):
            if not segment:
                return None
            names[pattern] = [unquote(segment)]
        elif pattern != segment:
            return None
    return names
