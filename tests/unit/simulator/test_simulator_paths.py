"""Paths that hold names are found, and literal ones come first."""

from collections.abc import Mapping
from typing import Any

import pytest

from rushhour.simulator.exchange import Handler, Request
from rushhour.simulator.paths import Paths


class _Routes:
    name = "routes"
    capacity = 1
    faults: Mapping[str, float] = {}

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        async def handle(_visit: Any) -> Any:
            raise AssertionError("Nothing is served here.")

        paths = ("/indexes", "/indexes/{index}", "/indexes/special", "/hosts/{index}/spaces/{space}")
        return {("GET", path): handle for path in paths}

    def reset(self, *, data: bool) -> None:
        raise AssertionError("Nothing is reset here.")


@pytest.mark.parametrize(
    ("path", "pattern", "names"),
    [
        ("/indexes", "/indexes", {}),
        ("/indexes/books", "/indexes/{index}", {"{index}": ["books"]}),
        ("/indexes/special", "/indexes/special", {}),
        ("/indexes/a%20b", "/indexes/{index}", {"{index}": ["a b"]}),
        ("/hosts/a/spaces/b", "/hosts/{index}/spaces/{space}", {"{index}": ["a"], "{space}": ["b"]}),
        ("/indexes/", "/indexes/", {}),
        ("/hosts/a/places/b", "/hosts/a/places/b", {}),
    ],
)
def test_a_path_is_resolved_to_its_pattern(path: str, pattern: str, names: dict[str, list[str]]) -> None:
    """Names become parameters; a path without a pattern stays as it is."""
    resolved = Paths([_Routes()]).resolve(Request("GET", path, query={"index": ["a client's own"]}))

    assert resolved.path == pattern
    assert resolved.query == {"index": ["a client's own"], **names}
