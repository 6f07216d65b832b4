"""The ways to cut a text that are compared: ours, every 1,200 characters, and two frameworks' defaults."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from rushhour.catalog.contract import Chunk
from rushhour.rag.chunking.chunk import Chunking, chunk
from rushhour.rag.parse import parse

INSTALL = (
    "{} is not installed here and left out. To see it too, without touching the project's environment: "
    "python3.11 -m venv /tmp/retrieval && "
    "/tmp/retrieval/bin/pip install -e '.[local]' -r benchmarks/requirements-retrieval.txt, "
    "and run this with /tmp/retrieval/bin/python."
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A stretch of a text, and what is known of where it stands."""

    start: int
    end: int
    text: str
    title: str = ""
    heading: str = ""

    def chunk(self, place: int) -> Chunk:
        """Return it as the catalog would have it."""
        return Chunk(str(place), "all", place, self.text, self.title, self.heading)


Splitter: TypeAlias = Callable[[str, str], Iterator[Cut]]
"""Cuts a text, given the file's name and the text."""


def ours(chunking: Chunking) -> Splitter:
    """Cut as an ingestion does."""

    def split(name: str, text: str) -> Iterator[Cut]:
        document = parse(name, text.encode())
        if document.text != text:
            raise ValueError(f"{name} is not its own text once it is parsed: its spans would mean something else.")
        for piece in chunk(document, chunking):
            yield Cut(piece.start, piece.end, piece.text, document.title, piece.heading)

    return split


def fixed(size: int, first: int | None = None) -> Splitter:
    """Cut every `size` characters, whatever stands there; the first cut is after `first` characters, else `size`."""

    def split(_name: str, text: str) -> Iterator[Cut]:
        ends = [*range(first or size, len(text), size), len(text)]
        for start, end in pairwise((0, *ends)):
            yield Cut(start, end, text[start:end])

    return split


def langchain() -> Splitter:
    """Cut as LangChain's RecursiveCharacterTextSplitter does by default: 4,000 characters, 200 of them again."""
    splitter = importlib.import_module("langchain_text_splitters").RecursiveCharacterTextSplitter(add_start_index=True)

    def split(_name: str, text: str) -> Iterator[Cut]:
        for one in splitter.create_documents([text]):
            start = one.metadata["start_index"]
            yield Cut(start, start + len(one.page_content), one.page_content)

    return split


def llama_index() -> Splitter:
    """Cut as LlamaIndex's SentenceSplitter does by default: 1,024 tokens, 200 of them again."""
    core = importlib.import_module("llama_index.core")
    splitter = importlib.import_module("llama_index.core.node_parser").SentenceSplitter()

    def split(_name: str, text: str) -> Iterator[Cut]:
        for one in splitter.get_nodes_from_documents([core.Document(text=text)]):
            yield Cut(one.start_char_idx, one.end_char_idx, one.text)

    return split


def installed(package: str) -> bool:
    """Whether a framework is there."""
    return importlib.util.find_spec(package) is not None
