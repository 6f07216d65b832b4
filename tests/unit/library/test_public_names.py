"""What `from rushhour import …` gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import rushhour
from rushhour import library

HEAVY = {"numpy", "aiohttp", "pydantic", "fastapi", "openai", "asyncio"}


def test_the_two_lists_agree() -> None:
    """What the package lists is what the library has, sorted."""
    assert rushhour.__all__ == library.__all__
    assert rushhour.__all__ == sorted(rushhour.__all__)


@pytest.mark.parametrize("name", rushhour.__all__)
def test_every_name_is_there_and_explained(name: str) -> None:
    """Each public class and function says what it is for."""
    found = getattr(rushhour, name)
    assert found is getattr(library, name)
    assert found.__doc__ or name == "Hop"


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    """As for any module."""
    with pytest.raises(AttributeError, match="has no attribute 'protekt'"):
        _ = rushhour.protekt
    assert "protect" in dir(rushhour)


def test_importing_rushhour_loads_nothing_heavy() -> None:
    """Neither for the package alone nor, but for asyncio, for its library."""
    script = "import sys, rushhour\nprint(*sys.modules)\nfrom rushhour import protect\nprint(*sys.modules)"
    done = subprocess.run(  # noqa: S603  # this very interpreter, in a fresh process
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    alone, with_library = (set(line.split()) for line in done.stdout.splitlines())

    assert not HEAVY & alone
    assert not any(name.startswith("rushhour.") for name in alone)
    assert not (HEAVY - {"asyncio"}) & with_library
