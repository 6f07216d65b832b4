"""CSV and JSON: every row and value says what it is, and what is broken says where."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import EmptyDocument, UnreadableDocument
from rushhour.rag.parse import parse


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_rows_name_their_cells(delimiter: str) -> None:
    """Whatever separates them; quotes hold separators and line ends; rows may end early or in blanks."""
    rows = [["", "name", "city"], ["1", f'"Ann{delimiter} the\nfirst"', "Oslo"], ["2", "Bob"], ["3", "", "Rom", "", ""]]
    text = "\n".join(delimiter.join(row) for row in rows)

    document = parse("people.csv", text.encode())

    assert document.title == "people"
    assert document.text == f"1; name: Ann{delimiter.strip()} the first; city: Oslo\n2; name: Bob\n3; city: Rom"


@pytest.mark.parametrize("first", ["1,2", "a,a", "a,b,,d", "3.5 %,x"])
def test_a_first_row_that_is_no_header_is_a_row(first: str) -> None:
    """Numbers, gaps and equal names name nothing."""
    assert parse("a.csv", f"{first}\nx,y\n".encode()).text.endswith("\nx; y")


def test_a_table_of_tabs() -> None:
    """By the ending .tsv too."""
    assert parse("a.tsv", b"k\tv\nx\t1,5\n").text == "k: x; v: 1,5"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n1,2,3\n", r"the row that ends in line 3 has 3 cells, but the first row has 2"),
        ('a,b\n1,"2\n', r"line 2 is no row of a table"),
        ('a,b\n1,"2" x\n', r"line 2 is no row of a table"),
        ("a,b\n1," + "x" * 200_000, r"line 2 is no row of a table.*field limit"),
    ],
)
def test_a_broken_table_says_where(text: str, reason: str) -> None:
    """Cells that belong nowhere would be cited under the wrong name."""
    with pytest.raises(UnreadableDocument, match=rf"a\.csv: {reason}"):
        parse("a.csv", text.encode())


def test_json_is_flattened_under_its_keys() -> None:
    """Numbers stay as they are written, lists of objects are passages, null is nothing."""
    value = (
        '{"name": "Config\\ud800", "port": 1.50, "big": 12345678901234567890,'
        '"on": true, "no": null, "tags": ["x", "y"],'
        '"servers\\udc00": [{"host": "a", "deep": {"k": [{"z": "l1\\nl2"}]}}, {"host": "b"}], "half": {"a": "\\ud800"}}'
    )

    document = parse("a.json", value.encode())

    assert (document.title, document.markup) == ("Config?", "markdown")
    assert [(section.heading_path, section.text) for section in document.sections] == [
        ("", "name: Config?\nport: 1.50\nbig: 12345678901234567890\non: true\ntags: x, y"),
        ("servers?", "host: a\ndeep.k[0].z:\nl1\nl2\n\nhost: b"),
        ("half", "a: ?"),
    ]


def test_json_lines_are_passages() -> None:
    """Blank lines are none."""
    assert parse("a.jsonl", b'{"a": 1}\n\n{"a": {"b": [1, 2]}}\n"x"\n').text == "a: 1\n\na.b: 1, 2\n\nx"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", b'{"a": 1,\n1}', "line 2, column 1"),
        ("a.json", b'{"a": 1} x', "line 1, column 10"),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', "line 2, column 7"),
        ("a.json", b"[" * 1_000_000, "nests deeper than 200"),
        ("a.json", b'{"a":' * 300 + b"1" + b"}" * 300, "nests deeper than 200"),
        ("a.jsonl", b"[" * 300 + b"{}" + b"]" * 300, "nests deeper than 200"),
    ],
)
def test_broken_json_says_where(name: str, content: bytes, reason: str) -> None:
    """Line and column, or that it is made to harm."""
    with pytest.raises(UnreadableDocument, match=reason):
        parse(name, content)


HALVES_TOO = st.characters() | st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)
"""JSON can name halves of characters."""
KEYS = st.sampled_from(("title", "name")) | st.text(HALVES_TOO, max_size=4)


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(HALVES_TOO, max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_parsed(value: Any) -> None:
    """Sections are what the text says at their offsets, and can be stored."""
    try:
        document = parse("a.json", json.dumps(value).encode())
    except EmptyDocument:
        return
    "".join((document.text, document.title, *(section.heading_path for section in document.sections))).encode()
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text
