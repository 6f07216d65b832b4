"""One conformance suite runs over every catalog: add an opener here for a new implementation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rushhour.catalog.contract import Catalog
from rushhour.catalog.sqlite import SqliteCatalog

OPENERS = {"sqlite": lambda folder: SqliteCatalog.open(folder / "catalog.sqlite3")}


@pytest.fixture(params=sorted(OPENERS))
async def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Catalog]:
    """Give an empty catalog."""
    opened = await OPENERS[request.param](tmp_path)
    yield opened
    await opened.aclose()
