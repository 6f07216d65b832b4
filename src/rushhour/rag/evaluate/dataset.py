"""Labelled questions in BEIR layout: documents, questions, and which document answers which question."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import msgspec

from rushhour.errors import InvalidRequest
from rushhour.rag.evaluate.lines import find, numbered, records


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question with its relevant documents: their grades (> 0) by id. `answers` are texts that a passage may hold."""

    id: str
    text: str
    relevant: Mapping[str, int]
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A document: its title may be empty, its text is not."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """`questions` are those of one split that have a relevant document, in the order of the file.

    `empty` counts documents that hold no text, which nothing can find.
    """

    name: str
    split: str
    documents: tuple[Text, ...]
    questions: tuple[Labelled, ...]
    empty: int = 0

    def sample(self, limit: int | None, seed: int) -> Self:
        """Return the same with at most `limit` questions, drawn by lot, in their order."""
        if limit is None or limit >= len(self.questions):
            return self
        drawn = sorted(random.Random(seed).sample(range(len(self.questions)), limit))
        return replace(self, questions=tuple(self.questions[place] for place in drawn))


class _Document(msgspec.Struct):
    id: str | int = msgspec.field(name="_id")
    text: str
    title: str | None = None


class _Question(msgspec.Struct):
    id: str | int = msgspec.field(name="_id")
    text: str
    answers: list[str] | str | None = None
    metadata: Any = None


class _Metadata(msgspec.Struct):
    answers: list[str] | str | None = None


def read_dataset(folder: Path, split: str = "test") -> Dataset:
    """Read `corpus.jsonl`, `queries.jsonl` and `qrels/SPLIT.tsv`, each of which may be gzipped.

    Raises InvalidRequest for what is missing, unreadable (with file and line), contradictory or empty.
    """
    if not folder.is_dir():
        raise InvalidRequest(f"There is no folder {folder}. Name one that holds a data set in BEIR layout.")
    corpus, queries, labels = find(folder, "corpus.jsonl"), find(folder, "queries.jsonl"), _find_labels(folder, split)
    documents = _documents(corpus)
    questions = _questions(queries)
    graded = _graded(labels, documents, questions, corpus, queries)
    asked = tuple(replace(questions[name], relevant=graded[name]) for name in questions if graded.get(name))
    if not asked:
        raise InvalidRequest(f"{labels} names no question with a relevant document (a score above 0).")
    holding = tuple(document for document in documents.values() if document.text)
    name = folder.resolve().name
    return Dataset(name, split, holding, asked, empty=len(documents) - len(holding))


def _find_labels(folder: Path, split: str) -> Path:
    try:
        return find(folder / "qrels", f"{split}.tsv")
    except InvalidRequest as cause:
        present = sorted({path.name.partition(".tsv")[0] for path in (folder / "qrels").glob("*.tsv*")})
        there = f"Its splits are {', '.join(present)}: choose one with --split." if present else ""
        raise InvalidRequest(f"{folder} has no labels for the split {split!r} (qrels/{split}.tsv). {there}") from cause


def _documents(path: Path) -> dict[str, Text]:
    """Read the corpus; a document that is only a title is its title."""
    found: dict[str, Text] = {}
    for place, read in records(path, _Document):
        title = (read.title or "").strip()
        _add(found, Text(str(read.id), title, read.text if read.text.strip() else title), place)
    if not found:
        raise InvalidRequest(f"{path} holds no document.")
    return found


def _questions(path: Path) -> dict[str, Labelled]:
    found: dict[str, Labelled] = {}
    for place, read in records(path, _Question):
        answers = read.answers if read.answers is not None else _answers(read.metadata, place)
        listed = [answers] if isinstance(answers, str) else answers or []
        told = tuple(answer for answer in listed if answer.strip())
        if not read.text.strip():
            raise InvalidRequest(f"{place}: the question {read.id!r} is empty.")
        _add(found, Labelled(str(read.id), read.text, {}, told), place)
    if not found:
        raise InvalidRequest(f"{path} holds no question.")
    return found


def _answers(metadata: object, place: str) -> list[str] | str | None:
    if not isinstance(metadata, dict):
        return None
    try:
        return msgspec.convert(metadata, _Metadata).answers
    except msgspec.ValidationError as cause:
        raise InvalidRequest(f"{place}: metadata.answers must be a text or a list of texts ({cause}).") from cause


def _add(found: dict[str, Any], one: Text | Labelled, place: str) -> None:
    if one.id in found:
        raise InvalidRequest(f"{place}: the id {one.id!r} was there before; ids are unique.")
    found[one.id] = one


def _graded(
    path: Path, documents: Mapping[str, Text], questions: Mapping[str, Labelled], corpus: Path, queries: Path
) -> dict[str, dict[str, int]]:
    """Read the labels: question, document, grade, separated by tabs; only grades above 0 are kept."""
    graded: dict[str, dict[str, int]] = {}
    strangers: dict[Path, list[str]] = {queries: [], corpus: []}
    for nth, (place, line) in enumerate(numbered(path)):
        fields = line.decode("utf-8", "replace").split("\t")
        if nth == 0 and len(fields) == 3 and not _is_grade(fields[2]):  # the header
            continue
        if len(fields) != 3 or not _is_grade(fields[2]):
            raise InvalidRequest(f"{place}: expected a question's id, a document's id and a whole number, by tabs.")
        question, document, grade = (field.strip() for field in fields)
        for known, name, where in ((questions, question, queries), (documents, document, corpus)):
            if name not in known:
                strangers[where].append(f"{name!r} ({place})")
        if int(grade) > 0:
            graded.setdefault(question, {})[document] = int(grade)
    _refuse_strangers(path, strangers)
    return graded


def _refuse_strangers(path: Path, strangers: Mapping[Path, Iterable[str]]) -> None:
    unknown = [
        f"{len(names)} of its ids are not in {where.name}, the first is {names[0]}"
        for where, found in strangers.items()
        if (names := list(found))
    ]
    if unknown:
        raise InvalidRequest(f"{path} and the data set do not belong together: {'; '.join(unknown)}.")


def _is_grade(field: str) -> bool:
    return field.strip().removeprefix("-").isdecimal()
