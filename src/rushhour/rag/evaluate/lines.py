"""Lines of text files, plain or gzipped, in which every mistake has a place."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from rushhour.errors import InvalidRequest

T = TypeVar("T")


def find(folder: Path, name: str) -> Path:
    """Return `folder/name` or `folder/name.gz`, whichever is there; raises InvalidRequest, naming what is missing."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InvalidRequest(
        f"{folder} is no data set in BEIR layout: {name} (or {name}.gz) is missing. "
        "It holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv."
    )


def numbered(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the lines that are not blank, each with its place, `file:line`; raises InvalidRequest if unreadable."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line := line.removeprefix(b"\xef\xbb\xbf").strip():
                    yield f"{path}:{number}", line
    except (OSError, EOFError, zlib.error) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise InvalidRequest(f"{path} cannot be read ({reason}).") from cause


def records(path: Path, kind: type[T]) -> Iterator[tuple[str, T]]:
    """Yield each line's JSON as a `kind` (a msgspec.Struct) with its place; raises InvalidRequest for a bad one."""
    decoder = msgspec.json.Decoder(kind)
    for place, line in numbered(path):
        try:
            yield place, decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise InvalidRequest(f"{place}: {_lower(str(cause))}. Each line is one JSON object.") from cause


def _lower(text: str) -> str:
    return f"{text[:1].lower()}{text[1:]}" if not text.startswith("JSON") else text
