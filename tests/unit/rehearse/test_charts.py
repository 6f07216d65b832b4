"""Plots as text."""

import xml.etree.ElementTree as ET  # parses only what this test made

import pytest

from rushhour.rehearse.charts import Plot, cumulate, nice_ticks


@pytest.mark.parametrize(
    ("high", "ticks"),
    [(21.7, [0, 5, 10, 15, 20, 25]), (1_000, [0, 200, 400, 600, 800, 1_000]), (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0])],
)
def test_ticks_are_round_and_reach_the_highest(high: float, ticks: list[float]) -> None:
    """Steps of 1, 2, 2.5 or 5 times a power of ten."""
    assert nice_ticks(high) == pytest.approx(ticks)


@pytest.mark.parametrize("high", [0, -1, 1e-6, 3, 7.3, 99, 1234, 1e9])
def test_ticks_exist_for_any_height(high: float) -> None:
    """They start at 0, rise, and cover the value."""
    ticks = nice_ticks(high)

    assert ticks[0] == 0
    assert ticks == sorted(set(ticks))
    assert ticks[-1] >= high
    assert len(ticks) <= 12


def test_a_curve_accumulates_from_the_origin() -> None:
    """Each bin counts at its end."""
    assert cumulate([2, 0, 3], 0.5) == [(0.0, 0.0), (0.5, 2.0), (1.0, 2.0), (1.5, 5.0)]


def test_words_do_not_stand_on_each_other() -> None:
    """Where a word stands already, the next one goes a line further."""
    plot = Plot("t", [0, 10], [0, 100], width=200, height=100, left=0, right=0, top=0, bottom=0)

    for text in ("first", "second", "third"):
        plot.word(5, 50, text, "naive")
    plot.word(0, 50, "far", "naive")

    found = {element.text: float(element.attrib["y"]) for element in ET.fromstring(plot.svg()).iter("text")}  # noqa: S314  # our own text
    assert found == {"first": 50.0, "second": 67.0, "third": 33.0, "far": 50.0}


def test_a_plot_is_well_formed_and_escaped() -> None:
    """Words with < and & do not break the page; points land where the axes say."""
    plot = Plot("a < b & c", [0, 10], [0, 100], width=200, height=100, left=20, right=20, top=10, bottom=10)
    plot.axes()
    plot.line([(0, 0), (10, 100)], "naive")
    plot.bar(0, 1, 0, 50, "naive")
    plot.word(5, 50, "<&>", "naive")

    ET.fromstring(plot.svg())  # noqa: S314  # our own text

    assert (plot.x(0), plot.x(10), plot.y(0), plot.y(100)) == (20, 180, 90, 10)
    assert "M20.0 90.0L180.0 10.0" in plot.svg()
    assert "&lt;&amp;&gt;" in plot.svg()
