"""What a data set says is read as it stands, and every mistake in it has a place and a remedy."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rushhour.errors import InvalidRequest
from rushhour.rag.evaluate.dataset import read_dataset

Layout = Callable[..., Path]

CORPUS = [{"_id": "d1", "title": "Badges", "text": "Ask at the desk."}, {"_id": "d2", "text": "Badges are blue."}]
QUERIES = [{"_id": "q1", "text": "who?"}, {"_id": "q2", "text": "which colour?", "metadata": {"answers": ["blue"]}}]
LABELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\nq2\td1\t0\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Write a data set, in which the given files are otherwise: text, or records for JSON lines; None leaves it out."""

    def write(**otherwise: Any) -> Path:
        (tmp_path / "qrels").mkdir(exist_ok=True)
        files = {"corpus.jsonl": CORPUS, "queries.jsonl": QUERIES, "qrels/test.tsv": LABELS, **otherwise}
        for name, content in files.items():
            if content is not None:
                text = content if isinstance(content, str) else "".join(f"{json.dumps(one)}\n" for one in content)
                (tmp_path / name).write_text(text)
        return tmp_path

    return write


def test_documents_questions_and_grades_are_read(layout: Layout) -> None:
    """Grades of 0 say that a document is not relevant; a missing title is an empty one."""
    found = read_dataset(layout())

    assert [(one.id, one.title, one.text) for one in found.documents] == [
        ("d1", "Badges", "Ask at the desk."),
        ("d2", "", "Badges are blue."),
    ]
    assert [(one.id, one.relevant, one.answers) for one in found.questions] == [
        ("q1", {"d1": 1}, ()),
        ("q2", {"d2": 2}, ("blue",)),
    ]


def test_gzipped_files_are_read_as_well(tmp_path: Path, layout: Layout) -> None:
    """`.jsonl.gz` and `.tsv.gz` are the same."""
    plain = read_dataset(layout())
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        file = tmp_path / name
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()

    assert read_dataset(tmp_path) == plain


def test_answers_stand_in_the_question_or_in_its_metadata(layout: Layout) -> None:
    """A single text is a list of one; blank ones and metadata of another kind are none."""
    queries = [
        {"_id": "q1", "text": "who?", "answers": "Ada"},
        {"_id": "q2", "text": "when?", "metadata": {"answers": ["1843", " "], "year": 7}},
        {"_id": "q3", "text": "where?", "metadata": ["none"]},
    ]
    labels = "".join(f"{name}\td1\t1\n" for name in ("q1", "q2", "q3"))
    found = read_dataset(layout(**{"queries.jsonl": queries, "qrels/test.tsv": labels}))

    assert [one.answers for one in found.questions] == [("Ada",), ("1843",), ()]


def test_labels_without_a_header_and_numbers_as_ids_are_read(layout: Layout) -> None:
    """Both are seen in the wild and mean one thing only."""
    corpus = [{"_id": 1, "text": "one"}, {"_id": 2, "text": "two"}]
    written = {"corpus.jsonl": corpus, "queries.jsonl": [{"_id": 7, "text": "?"}], "qrels/test.tsv": "7\t2\t1\n"}

    assert read_dataset(layout(**written)).questions[0].relevant == {"2": 1}


def test_questions_without_a_relevant_document_are_left_out(layout: Layout) -> None:
    """There is nothing they could find."""
    found = read_dataset(layout(**{"qrels/test.tsv": "q1\td1\t0\nq2\td2\t1\n"}))

    assert [one.id for one in found.questions] == ["q2"]


def test_a_document_without_text_is_its_title_or_counts_as_empty(layout: Layout) -> None:
    """An ingestion would refuse it; here it only cannot be found."""
    corpus = [{"_id": "d1", "title": "Badges", "text": " "}, {"_id": "d2", "text": ""}]
    found = read_dataset(layout(**{"corpus.jsonl": corpus}))

    assert [(one.id, one.text) for one in found.documents] == [("d1", "Badges")]
    assert found.empty == 1


def test_a_sample_is_decided_by_its_seed(layout: Layout) -> None:
    """The same seed draws the same questions, in their order; a limit above their number draws all."""
    queries = [{"_id": f"q{n}", "text": "?"} for n in range(40)]
    labels = "".join(f"q{n}\td1\t1\n" for n in range(40))
    whole = read_dataset(layout(**{"queries.jsonl": queries, "qrels/test.tsv": labels}))

    drawn = [[one.id for one in whole.sample(8, seed).questions] for seed in (1, 1, 2)]

    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0], key=lambda name: int(name[1:]))
    assert whole.sample(41, 1) == whole.sample(None, 1) == whole


@pytest.mark.parametrize(
    ("otherwise", "words"),
    [
        ({"corpus.jsonl": None}, ["corpus.jsonl", "missing"]),
        ({"queries.jsonl": None}, ["queries.jsonl", "missing"]),
        ({"qrels/test.tsv": None, "qrels/dev.tsv": LABELS}, ["'test'", "dev", "--split"]),
        ({"corpus.jsonl": '{"_id": "d1", "text": "one"}\n\n{"_id": "d2", \n'}, ["corpus.jsonl:3"]),
        ({"corpus.jsonl": '{"_id": "d1"}\n'}, ["corpus.jsonl:1", "text"]),
        ({"corpus.jsonl": '{"_id": "d1", "text": "\\ud800"}\n'}, ["corpus.jsonl:1"]),
        ({"corpus.jsonl": [*CORPUS, CORPUS[0]]}, ["corpus.jsonl:3", "'d1'", "before"]),
        ({"corpus.jsonl": "\n"}, ["corpus.jsonl", "no document"]),
        ({"queries.jsonl": ""}, ["queries.jsonl", "no question"]),
        ({"queries.jsonl": [{"_id": "q1", "text": " "}]}, ["queries.jsonl:1", "'q1'", "empty"]),
        ({"queries.jsonl": [{"_id": "q1", "text": "?", "metadata": {"answers": 3}}]}, ["queries.jsonl:1", "answers"]),
        ({"qrels/test.tsv": "a\tb\tscore\nq1\td1\tmuch\n"}, ["test.tsv:2", "whole number"]),
        ({"qrels/test.tsv": "q1 d1 1\n"}, ["test.tsv:1", "tabs"]),
        ({"qrels/test.tsv": "q1\td1\t0\n"}, ["test.tsv", "no question with a relevant document"]),
        (
            {"qrels/test.tsv": "q1\tdX\t1\nq1\tdY\t1\nqZ\td1\t1\n"},
            ["2 of its ids are not in corpus.jsonl, the first is 'dX'", "test.tsv:1", "1 of its ids", "'qZ'"],
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(layout: Layout, otherwise: dict[str, Any], words: list[str]) -> None:
    """File and line, what is wrong there, and what would be right."""
    with pytest.raises(InvalidRequest) as told:
        read_dataset(layout(**otherwise))

    assert [word for word in words if word not in str(told.value)] == []


def test_a_folder_that_is_none_and_a_broken_archive_are_told(tmp_path: Path, layout: Layout) -> None:
    """Neither ends in a traceback."""
    with pytest.raises(InvalidRequest, match="no folder"):
        read_dataset(tmp_path / "nowhere")
    (layout(**{"corpus.jsonl": None}) / "corpus.jsonl.gz").write_bytes(gzip.compress(b'{"_id": "d1"}')[:-9])
    with pytest.raises(InvalidRequest, match=r"corpus\.jsonl\.gz cannot be read"):
        read_dataset(tmp_path)
