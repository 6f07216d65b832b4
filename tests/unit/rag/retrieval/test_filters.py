"""Filters in OpenAI's shape and as people type them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.catalog.contract import Chunk
from rushhour.errors import InvalidRequest
from rushhour.rag.retrieval.filter_text import parse_filters
from rushhour.rag.retrieval.filters import (
    MOST,
    Comparison,
    Compound,
    Filter,
    chunk_test,
    read_filter,
    spelled,
    weakened,
)

CHUNK = Chunk(
    "c", "a.md", 0, "text", "A title", "Part > Section", 7, source="s", metadata={"lang": "en", "draft": True}
)

values = st.one_of(st.sampled_from(["a.md", "en", "de", ""]), st.integers(0, 9), st.booleans())
orderable = st.one_of(st.sampled_from(["a.md", "en"]), st.integers(0, 9))
keys = st.sampled_from(["file", "page", "lang", "draft", "none"])
comparisons: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Comparison, st.sampled_from(["eq", "ne"]), keys, values),
    st.builds(Comparison, st.sampled_from(["gt", "gte", "lt", "lte"]), keys, orderable),
    st.builds(Comparison, st.sampled_from(["in", "nin"]), keys, st.lists(values, min_size=1, max_size=3).map(tuple)),
)
filters = st.recursive(
    comparisons,
    lambda inner: st.builds(
        Compound, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3).map(tuple)
    ),
    max_leaves=6,
)
chunks = st.builds(
    Chunk,
    id=st.just("c"),
    file=st.sampled_from(["a.md", "b.md"]),
    position=st.just(0),
    text=st.just(""),
    page=st.one_of(st.none(), st.integers(0, 9)),
    metadata=st.dictionaries(st.sampled_from(["lang", "draft"]), values),
)


def shaped(wanted: Filter) -> dict[str, Any]:
    """Write a filter as a client would."""
    if isinstance(wanted, Compound):
        return {"type": wanted.type, "filters": [shaped(part) for part in wanted.filters]}
    value = list(wanted.value) if isinstance(wanted.value, tuple) else wanted.value
    return {"type": wanted.type, "key": wanted.key, "value": value}


@given(filters)
def test_what_a_client_writes_is_what_is_read(wanted: Filter) -> None:
    """Nothing is lost on the way in."""
    assert read_filter(shaped(wanted)) == wanted


@given(filters, chunks)
def test_a_weakened_filter_never_keeps_out_what_the_whole_lets_in(wanted: Filter, chunk: Chunk) -> None:
    """So a store that knows only some keys may narrow the search, and nothing is missed."""
    weaker = weakened(wanted, frozenset({"file", "page"}))

    if weaker is not None and chunk_test(wanted)(chunk):
        assert chunk_test(weaker)(chunk)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({"type": "eq", "key": "file", "value": "a.md"}, True),
        ({"type": "gte", "key": "page", "value": 7}, True),
        ({"type": "gt", "key": "page", "value": 7}, False),
        ({"type": "eq", "key": "lang", "value": "en"}, True),
        ({"type": "eq", "key": "draft", "value": 1}, False),
        ({"type": "ne", "key": "author", "value": "x"}, True),
        ({"type": "eq", "key": "author", "value": "x"}, False),
        ({"type": "in", "key": "title", "value": ["A title", "B"]}, True),
        ({"type": "nin", "key": "source", "value": ["s"]}, False),
    ],
)
def test_chunks_pass_by_their_fields_and_metadata(wanted: dict[str, Any], passes: bool) -> None:
    """A chunk's own fields and its metadata are compared alike."""
    assert chunk_test(read_filter(wanted))(CHUNK) is passes


def test_a_chunks_own_fields_outrank_its_metadata() -> None:
    """Metadata cannot pretend to be another file."""
    chunk = Chunk("c", "a.md", 0, "", metadata={"file": "b.md", "page": 3})

    assert chunk_test(Comparison("eq", "file", "a.md"))(chunk)
    assert not chunk_test(Comparison("gte", "page", 0))(chunk)


@pytest.mark.parametrize(
    ("given_filter", "param", "said"),
    [
        ("x", "filters", "'x'"),
        ([], "filters", r"\[\]"),
        ({}, "filters.type", "missing"),
        ({"type": "like", "key": "a", "value": "b"}, "filters.type", "'like'"),
        ({"type": "eq", "value": "b"}, "filters.key", "missing"),
        ({"type": "eq", "key": "", "value": "b"}, "filters.key", "''"),
        ({"type": "eq", "key": "$or", "value": "b"}, "filters.key", "or"),
        ({"type": "eq", "key": "a"}, "filters.value", "missing"),
        ({"type": "eq", "key": "a", "value": [1]}, "filters.value", r"\[1\]"),
        ({"type": "eq", "key": "a", "value": float("nan")}, "filters.value", "nan"),
        ({"type": "gt", "key": "a", "value": True}, "filters.value", "True"),
        ({"type": "eq", "key": "a", "value": 10**30}, "filters.value", "1000"),
        ({"type": "in", "key": "a", "value": "abc"}, "filters.value", "'abc'"),
        ({"type": "in", "key": "a", "value": []}, "filters.value", r"\[\]"),
        ({"type": "and", "filters": []}, "filters.filters", r"\[\]"),
        ({"type": "or", "filters": [{"type": "eq"}]}, r"filters.filters[0].key", "missing"),
    ],
)
def test_a_wrong_filter_is_named_with_its_place(given_filter: object, param: str, said: str) -> None:
    """A filter that cannot be obeyed is refused, never ignored."""
    with pytest.raises(InvalidRequest, match=said) as refused:
        read_filter(given_filter)
    assert refused.value.param == param


def test_nesting_is_bounded() -> None:
    """A filter is no way to exhaust the stack."""
    deep: dict[str, Any] = {"type": "eq", "key": "a", "value": 1}
    for _ in range(20):
        deep = {"type": "and", "filters": [deep]}
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        read_filter(deep)


@pytest.mark.parametrize(
    ("comparison", "each"),
    [({"type": "eq", "key": "a", "value": 1}, 1), ({"type": "in", "key": "a", "value": [1, 2, 3, 4, 5]}, 5)],
)
@pytest.mark.parametrize("halves", [1, 2])
def test_what_is_compared_is_counted_over_the_whole_filter(comparison: dict[str, Any], each: int, halves: int) -> None:
    """However it is spread over lists and compounds; a filter is no way to keep a reader of the catalog busy."""
    parts = [comparison] * (MOST // each // halves)
    most = {"type": "and", "filters": [{"type": "or", "filters": parts}] * halves}
    beyond = {"type": "or", "filters": [most, {"type": "eq", "key": "b", "value": 1}]}

    assert spelled(read_filter(most))
    with pytest.raises(InvalidRequest, match=f"filters compares with more than {MOST} values in all"):
        read_filter(beyond)


def test_what_is_beyond_is_not_even_read() -> None:
    """A body of megabytes costs no more than the filter that is accepted."""
    unread = {"type": "or", "filters": [{"type": "eq", "key": "a", "value": n} for n in range(MOST)]}
    wrong = {"type": "or", "filters": [{"type": "like"}]}

    with pytest.raises(InvalidRequest, match=f"filters compares with more than {MOST} values"):
        read_filter({"type": "and", "filters": [unread, unread, wrong]})


def test_stores_are_told_in_their_spelling() -> None:
    """That of Mongo and Pinecone."""
    wanted = Compound("or", (Comparison("gte", "page", 3), Comparison("in", "lang", ("en", "de"))))

    assert spelled(wanted) == {"$or": [{"page": {"$gte": 3}}, {"lang": {"$in": ["en", "de"]}}]}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("page>=3", Comparison("gte", "page", 3)),
        ("page < 3.5", Comparison("lt", "page", 3.5)),
        ("file=2024.md", Comparison("eq", "file", "2024.md")),
        ("title=1984", Comparison("eq", "title", "1984")),
        ("year=1984", Comparison("eq", "year", 1984)),
        ('year="1984"', Comparison("eq", "year", "1984")),
        ("draft!=true", Comparison("ne", "draft", True)),
        ("lang=en|de", Comparison("in", "lang", ("en", "de"))),
        ("lang!=en|de", Comparison("nin", "lang", ("en", "de"))),
        ("lang=[[[", Comparison("eq", "lang", "[[[")),
        ("lang=NaN", Comparison("eq", "lang", "NaN")),
        ("year=007", Comparison("eq", "year", "007")),
        ("share=-1.5e-3", Comparison("eq", "share", -0.0015)),
        ("title=a = b", Comparison("eq", "title", "a = b")),
        ('{"type": "eq", "key": "page", "value": 3}', Comparison("eq", "page", 3)),
    ],
)
def test_people_write_comparisons(text: str, read: Filter) -> None:
    """Numbers and truth values are what they look like, unless the key or quotes say otherwise."""
    assert parse_filters([text]) == read


def test_several_must_all_hold() -> None:
    """None at all is no filter."""
    assert parse_filters([]) is None
    assert parse_filters(["a=1", "b=2"]) == Compound("and", (Comparison("eq", "a", 1), Comparison("eq", "b", 2)))


@pytest.mark.parametrize("text", ["", "page", "=3", "page>=", "{", "{}", '{"type": "eq"}'])
def test_what_compares_nothing_is_explained(text: str) -> None:
    """The message shows how it is written."""
    with pytest.raises(InvalidRequest, match="--filter"):
        parse_filters([text])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("page=" + 5000 * "9", "--filter compares 'page': 999.* is too large .* put it in double quotes"),
        ("page=" + 30 * "9", "is too large"),
        ("page=1e400", "is too large"),
        ('{"a": ' + 5000 * "9" + "}", "--filter .*… is not valid JSON"),
        ('{"a": ' + 100_000 * "[", "--filter .*… is not valid JSON"),
    ],
)
def test_what_is_too_much_for_a_number_or_for_json_is_explained(text: str, said: str) -> None:
    """In a message that is no longer for it."""
    with pytest.raises(InvalidRequest, match=said) as refused:
        parse_filters([text])
    assert len(str(refused.value)) < 300


def test_however_deep_brackets_are_they_are_text() -> None:
    """Only what looks like a number or a truth value is one."""
    assert parse_filters(["lang=" + 100_000 * "["]) == Comparison("eq", "lang", 100_000 * "[")


def test_all_that_must_hold_is_counted_together() -> None:
    """As if it had been written as one filter."""
    with pytest.raises(InvalidRequest, match=f"--filter compares with more than {MOST} values"):
        parse_filters([f"page!={n}" for n in range(MOST + 1)])
