"""The page: valid, self-contained, and telling what the figures say."""

import re
from html import unescape
from html.parser import HTMLParser

import msgspec
import pytest

from rushhour.rehearse.report import render_report
from rushhour.rehearse.results import Rehearsal
from rushhour.rehearse.story import headline, story, verdict
from rushhour.rehearse.words import dollars, label_of, seconds, share

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class _Balance(HTMLParser):
    """Checks that every element is closed by its own end tag."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ignore an element of SVG that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _text(page: str) -> str:
    parser = _Balance()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return " ".join(" ".join(parser.text).split())


def test_the_page_is_well_formed_and_tells_the_figures(finished: Rehearsal) -> None:
    """Counts, floor, cost, ingestion and the command to repeat it all stand on the page."""
    naive, production = finished.runs

    text = _text(render_report(finished))

    assert f"naive answered {naive.answered:,}, production answered all of them" in text
    assert f"{production.makespan_s:.1f} s" in text
    assert "The floor nobody can beat" in text
    assert "1,000 ÷ 50 = 20 s" in text
    assert "chunks lost on the way 2 0" in text
    assert finished.command in text
    assert "391 refused with 429" in text


def test_the_page_needs_nothing_else(finished: Rehearsal) -> None:
    """No script, no link, no fetched image or font: it can be forwarded as it is."""
    page = render_report(finished)

    assert "$" not in re.sub(r"\$\d", "", _text(page))
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)


def test_every_failure_is_on_the_page(finished: Rehearsal) -> None:
    """The breakdown adds up to all users."""
    text = _text(render_report(finished))

    for run in finished.runs:
        for kind, count in run.errors.items():
            assert f"{label_of(kind)} {count:,}" in text


def test_a_partial_report_says_so(finished: Rehearsal) -> None:
    """An interrupted rehearsal still makes a page, marked as partial."""
    naive = msgspec.structs.replace(finished.runs[0], partial=True)
    partial = msgspec.structs.replace(finished, partial=True, runs=[naive])

    text = _text(render_report(partial))

    assert "interrupted, partial" in text
    assert "these figures are partial" in text


def test_a_report_of_nothing_still_renders(finished: Rehearsal) -> None:
    """Interrupted before anything was measured, the page says that."""
    nothing = msgspec.structs.replace(finished, partial=True, runs=[], ingestion=[], friday=[])

    assert "nothing was measured" in _text(render_report(nothing))
    assert verdict(nothing) == "1,000 users in 5 seconds: nothing was measured"


def test_words_from_outside_are_escaped(finished: Rehearsal) -> None:
    """A kind of failure comes from a server's reply: it must not become markup."""
    hostile = msgspec.structs.replace(finished.runs[0], errors={"<script>alert(1)</script>": 728})

    assert "<script>" not in render_report(msgspec.structs.replace(finished, runs=[hostile]))


def test_the_story_names_the_floor_and_both_pipelines(finished: Rehearsal) -> None:
    """Three to seven sentences, from the figures alone."""
    told = story(finished)

    assert 3 <= len(told) <= 7
    assert any("20 s whoever asks" in sentence for sentence in told)
    assert any("production answered 1,000 of 1,000" in sentence for sentence in told)


def test_slots_are_told_as_slots(turned: Rehearsal) -> None:
    """Everywhere: nobody reads calls a second where calls take turns."""
    page = unescape(render_report(turned))

    assert headline(turned) == "100 users in 5 seconds; 4 calls at a time, 10 s each"
    assert any("At 4 calls at a time of 10 s each, 100 users take 241 s whoever asks" in line for line in story(turned))
    assert "the server’s 4 slots keep the last answer from coming before 241.0 s" in page
    assert "4 calls at a time of 10 s each are 0.4 a second" in page
    assert "how many its slots serve, 0.4 a second: calls above it wait in the server’s own queue" in page
    assert "100 × 10 s ÷ 4 = <b>250 s</b>" in page
    assert "All slots are free at the start, which is worth 10 s." in page
    assert "calls a second allowed" not in page


def test_no_limit_is_told_as_none(unlimited: Rehearsal) -> None:
    """No figure stands for it, and no line is drawn."""
    page = unescape(render_report(unlimited))

    assert headline(unlimited) == "1,000 users in 5 seconds, no limit"
    assert any("No limit is an obstacle: the users themselves take 5 s to come" in line for line in story(unlimited))
    assert "it admits any number" in page
    assert "nothing limits how many are made" in page
    assert "The dashed line" not in page
    assert "None" not in page


def test_slots_that_nobody_waits_for(turned: Rehearsal) -> None:
    """They are named, and their pace is told, though the users' coming is what takes longest."""
    calm = msgspec.structs.replace(turned, floor_s=300.0, floor=msgspec.structs.replace(turned.floor, bound="arrivals"))

    assert any("The server’s 4 slots are no obstacle: the users themselves take 300 s" in line for line in story(calm))
    assert "4 calls at a time, 10 s each" in headline(calm)


def test_calls_that_never_arrived_are_explained(finished: Rehearsal) -> None:
    """Timeouts at a provider that saw no calls are the pipeline's own doing."""
    calls = msgspec.structs.replace(finished.runs[0].provider_calls, embeddings=142)
    starved = msgspec.structs.replace(finished.runs[0], errors={"APITimeoutError": 728}, provider_calls=calls)

    told = story(msgspec.structs.replace(finished, runs=[starved]))

    assert any("858 never reached the provider" in sentence for sentence in told)
    assert not any("never reached" in sentence for sentence in story(finished))


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (9_999, 10_000, "over 99.9 %"),
        (1, 10_000, "under 0.1 %"),
        (1, 1_000, "0.1 %"),
        (1, 3, "33.3 %"),
        (0, 0, "–"),
    ],
)
def test_a_share_never_rounds_to_all_or_nothing(part: int, whole: int, written: str) -> None:
    """One failure among many must not look like none."""
    assert share(part, whole) == written


def test_figures_carry_their_units() -> None:
    """Unmeasured figures are dashes."""
    assert (seconds(1.234), seconds(12.34), seconds(None)) == ("1.23 s", "12.3 s", "–")
    assert (dollars(0.000123, 100), dollars(1.5), dollars(None)) == ("$0.0123", "$1.50", "–")
