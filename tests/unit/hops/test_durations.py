"""Spans of time in every spelling that providers use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.hops.durations import LONGEST_S, go_duration, span

DATE = {"date": "Wed, 21 Oct 2026 07:28:00 GMT"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("36.27s", 36.27),
        ("1m26.4s", 86.4),
        ("6m0s", 360.0),
        ("2h45m", 9900.0),
        ("1h0m0.5s", 3600.5),
        ("500µs", 0.0005),
        ("10ns", 1e-8),
        ("0", 0.0),
        ("0s", 0.0),
        ("1d", 86_400.0),
    ],
)
def test_reads_go_durations(text: str, seconds: float) -> None:
    """The forms that OpenAI, Groq and Google send."""
    assert go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "1", "-1s", "1 s", "1x", "1m-2s", "nan", "inf", "infs", "1e5s", "9999h", "١s"]
)
def test_refuses_what_is_no_go_duration(text: str) -> None:
    """Anything else is as good as absent, a wait of more than a week too."""
    assert go_duration(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("3", 3.0),
        ("1.5", 1.5),
        ("1m30s", 90.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("2026-10-21T07:29:00Z", 60.0),
        ("2026-10-21T09:28:10.5+02:00", 10.5),
        ("1792567690", 10.0),
        ("1792567690500", 10.5),
    ],
)
def test_measures_from_the_senders_clock(text: str, seconds: float) -> None:
    """Dates count from the reply's own Date header, so that clocks need not agree."""
    assert span(text, DATE) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e300", "soon", "", "32 Foo 2026", "2026-99-99T00:00:00Z"])
def test_nonsense_is_absent(text: str) -> None:
    """A malformed wait is no wait, never a crash."""
    assert span(text, DATE) is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_never_crashes_and_never_advises_nonsense(text: str, date: str) -> None:
    """Whatever two headers hold, the answer is absent or a possible wait."""
    seconds = span(text, {"date": date})
    assert seconds is None or 0 <= seconds <= LONGEST_S
