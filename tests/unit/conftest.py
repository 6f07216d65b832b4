"""Unit tests run on virtual time: no test here sleeps, and none may hang."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rushhour.testing import VirtualTimeLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, Callable[[], Any]]:
    """Give every async test of this folder a virtual-time loop."""
    return {"virtual": VirtualTimeLoop}
