"""Durations on the command line."""

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rehearse.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5.0), ("500ms", 0.5), ("2m", 120.0), ("1h", 3600.0), ("1.5 s", 1.5), ("7", 7.0), (" 3MIN ", 180.0)],
)
def test_reads_durations_as_people_write_them(text: str, seconds: float) -> None:
    """Units are ms, s, m and h; a bare number is seconds."""
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 fortnights", "s", "1e3s", "nan"])
def test_refuses_what_is_no_duration(text: str) -> None:
    """The message repeats what was given and shows the forms."""
    with pytest.raises(InvalidRequest, match=r"--over is .* write a duration like 5s"):
        parse_duration(text, "--over")
