"""The fake Redis for every test of this folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    path = Path(__file__).with_name("fake_redis.py")
    spec = importlib.util.spec_from_file_location("fake_redis", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_redis"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake_redis() -> ModuleType:
    """Return the module with the fake server: `fake_redis.FakeRedis()`."""
    return _load()
