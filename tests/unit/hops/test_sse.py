"""Server-sent events from bytes that are cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import MalformedReply
from rushhour.hops.sse import LARGEST_EVENT, SseParser


def parse(*chunks: bytes) -> list[bytes]:
    """Feed everything, then the end."""
    parser = SseParser()
    return [event for chunk in chunks for event in parser.feed(chunk)] + parser.end()


def test_reads_events_and_skips_the_rest() -> None:
    """Comments, names, ids and unknown fields are dropped, data over several lines is joined."""
    stream = (
        b"\xef\xbb\xbf: hello\nevent: delta\ndata: one\nid: 7\n\ndata:two\ndata:  lines\nretry: 5\nfoo\n\n\n: end\n\n"
    )
    assert parse(stream) == [b"one", b"two\n lines"]


def test_the_last_empty_line_may_be_missing() -> None:
    """Some servers close right after `data: [DONE]`."""
    assert parse(b"data: 1\n\ndata: [DONE]") == [b"1", b"[DONE]"]


def test_an_event_is_given_as_soon_as_it_is_whole() -> None:
    """No event waits for the next chunk."""
    parser = SseParser()
    assert parser.feed(b"data: a\r\n\r\ndata: b") == [b"a"]
    assert parser.feed(b"b\n\n") == [b"bb"]


def test_an_endless_event_is_refused() -> None:
    """Memory is bounded, whether the event is one line or many."""
    line = SseParser()
    with pytest.raises(MalformedReply, match="4 MiB"):
        line.feed(b"data: " + b"x" * LARGEST_EVENT)
    many = SseParser()
    for _ in range(LARGEST_EVENT // 1000):
        many.feed(b"data: " + b"x" * 1000 + b"\n")
    with pytest.raises(MalformedReply, match="4 MiB"):
        many.feed(b"data: " + b"x" * 1000 + b"\n")


TEXT = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12).map(str.encode)
EVENTS = st.lists(st.lists(TEXT, min_size=1, max_size=3), max_size=6)


@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_cuts_and_line_ends_change_nothing(events: list[list[bytes]], end: bytes, data: st.DataObject) -> None:
    """However the same events are written and cut, the same data comes out."""
    stream = b""
    for lines in events:
        stream += data.draw(st.sampled_from([b"", b": ping" + end, b"event: x" + end, b": ping" + end + end]))
        stream += b"".join(b"data: " + line + end for line in lines) + end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert parse(*chunks) == [b"\n".join(lines) for lines in events]
