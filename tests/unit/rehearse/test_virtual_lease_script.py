"""The Python version of the lease scripts, against the one that the flow's own tests trust."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.flow.ledger.lease_call import Ask, LeaseCall
from rushhour.rehearse.virtual.lease_script import Leases, Members

KEYS = ("quota", "wanting", "living", "waiting")
_FIELDS = ("depth", "taken", "taken_lost", "need", "want", "ramp", "most", "hint", "call")

_amount = st.floats(0, 3, allow_nan=False)
_asks = st.builds(
    Ask,
    st.just("requests"),
    st.sampled_from([1.0, 60.0]),
    taken=st.floats(-1, 2),
    taken_lost=_amount,
    need=_amount,
    want=_amount,
    ramp=_amount,
    most=st.sampled_from([-1.0, 0.5, 60.0]),
    hint=st.none() | st.floats(-5, 5),
    call=st.sampled_from([0.0, 0.25, 0.3]),
)
_calls = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.floats(0, 3),
    st.builds(
        LeaseCall,
        st.tuples(_asks, _asks.map(lambda ask: Ask("tokens", *[getattr(ask, name) for name in _FIELDS]))),
        lost_s=st.sampled_from([0.0, 0.0, 0.5, 4.0]),
        closed_s=st.sampled_from([0.0, 0.0, 2.0]),
        waiting=st.sampled_from([0.0, 0.5, 2.0, 2.0]),
        booked=st.sampled_from([0.0, 0.0, 5.0]),
    ),
)


def _trusted() -> Any:
    """Return the fake that the flow's tests compare with a real server's behaviour."""
    path = Path(__file__).parents[1] / "flow" / "ledger" / "fake_redis.py"
    spec = importlib.util.spec_from_file_location("fake_redis_of_the_flow", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Lua()


@settings(max_examples=100, deadline=None)
@given(st.lists(_calls, min_size=1, max_size=12))
def test_grants_what_the_script_grants(calls: list[tuple[str, float, LeaseCall]]) -> None:
    """Any history of calls gets the same numbers from both."""
    ours, theirs, now = Leases(Members()), _trusted(), 100.0
    for replica, pause, call in calls:
        now += pause
        words = call.words(replica)

        assert ours.lease(KEYS, words, now) == pytest.approx(theirs.lease(KEYS, list(words), now))


def test_members_are_forgotten_after_their_window() -> None:
    """Who was not heard of for long does not live."""
    members = Members()

    assert members.seen("living", "a", 6.0, 0.0) == 1
    assert members.seen("living", "b", 6.0, 5.0) == 2
    assert members.seen("living", "b", 6.0, 7.0) == 1
    assert members.remove("living", "b") == 1
    assert members.remove("living", "b") == 0
