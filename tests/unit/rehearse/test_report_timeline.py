"""The timeline of faults, and the cards whose figures stand beside their floors."""

import re
import xml.etree.ElementTree as ET  # parses only what this test made

import msgspec

from rushhour.rehearse.figures import provider_view
from rushhour.rehearse.report import render_report
from rushhour.rehearse.report_cards import card
from rushhour.rehearse.report_timeline import draw_timeline, timeline
from rushhour.rehearse.results import Rehearsal, Returned, Series, WindowNote

QUIET = Series(1.0, [5], [5], [0])


def _eventful(finished: Rehearsal) -> Rehearsal:
    windows = [
        WindowNote(label="overloaded: <chat>", surfaces=["chat"], kind="overloaded", from_s=5.0, until_s=15.0),
        WindowNote(label="brownout: chat × 10", surfaces=["chat"], kind="brownout", from_s=18.0, until_s=None),
    ]
    return msgspec.structs.replace(finished, windows=windows)


def test_every_trouble_has_a_lane(finished: Rehearsal) -> None:
    """The provider's windows first, then what each pipeline met and whom it left."""
    picture = draw_timeline(_eventful(finished))
    labels = [element.text for element in ET.fromstring(picture).iter("text")]  # noqa: S314  # our own text

    assert labels[:2] == ["the provider: overloaded: <chat>", "the provider: brownout: chat × 10"]
    assert any(re.fullmatch(r"naive: \d+ chat calls refused with 429", str(label)) for label in labels)
    assert any(re.fullmatch(r"naive: \d+ users left without an answer", str(label)) for label in labels)
    assert not any(re.match("production: .* without an answer", str(label)) for label in labels)


def test_a_quiet_day_has_no_timeline(finished: Rehearsal) -> None:
    """No empty heading."""
    calm = msgspec.structs.replace(finished, runs=[msgspec.structs.replace(finished.runs[1], series=QUIET)])

    assert timeline(calm) == ""
    assert "When things went wrong" not in render_report(calm)


def test_seconds_of_the_same_shade_are_one_band(finished: Rehearsal) -> None:
    """The darkest is the worst second."""
    series = msgspec.structs.replace(QUIET, throttled=[0, 40, 40, 10, 0, 40], admitted=[1] * 6)
    stormy = msgspec.structs.replace(finished, runs=[msgspec.structs.replace(finished.runs[0], series=series)])

    assert re.findall(r"bar storm shade-(\d)", draw_timeline(stormy)) == ["4", "1", "4"]


def test_storms_of_429_shade_what_the_provider_saw(finished: Rehearsal) -> None:
    """Where more than a fifth of a second's calls were refused."""
    series = msgspec.structs.replace(QUIET, throttled=[0, 40, 40, 1, 0, 40], admitted=[50] * 6, failed=[0] * 6)
    run = msgspec.structs.replace(finished.runs[0], series=series)

    drawn = provider_view(msgspec.structs.replace(finished, runs=[run]))

    assert drawn.count('class="band storm"') == 2


def test_a_card_compares_all_users_with_the_floor(finished: Rehearsal) -> None:
    """A pipeline that answers few of them quickly is not faster than the floor: most never had an answer."""
    floor = msgspec.structs.replace(finished.floor, waits_s=[0.15 * n for n in range(101)])
    finished = msgspec.structs.replace(finished, floor=floor)
    naive, production = (card(run, finished) for run in finished.runs)

    row = '<th scope="row">95 % of all answered within</th>'
    assert f"{row}<td>never</td><td>14.2 s</td>" in naive
    assert re.search(rf"{row}<td>\d+\.\d+ s</td><td>14\.2 s</td>", production)
    assert '<th scope="row">the last one after</th>' in production
    assert "<td>20.0 s</td></tr>" in production


def test_a_card_tells_whether_refusals_kept_their_word(finished: Rehearsal) -> None:
    """Who came back when told to, and was answered then."""
    run = msgspec.structs.replace(
        finished.runs[1], refused_first=40, returned=Returned(users=39, answered=38, refused=1), degraded={"reduced": 3}
    )

    told = card(run, finished)

    assert "<td>38 of 39</td><td>39</td>" in told
    assert "3 of the answers are less than was asked for" in told
    assert "came back" not in card(finished.runs[1], finished)


def test_each_figure_is_drawn_for_wide_and_narrow_screens(finished: Rehearsal) -> None:
    """Every picture has a name to be read out, every table's columns are headed as such."""
    page = render_report(_eventful(finished))

    assert page.count('<div class="wide">') == page.count('<div class="narrow">') == 3
    for picture in re.findall(r"<svg [^>]*>", page.split('class="legend"')[1].split("</ul>", 1)[1]):
        assert 'role="img" aria-label=' in picture
    assert "<th>" not in page.replace("<th></th>", "")
