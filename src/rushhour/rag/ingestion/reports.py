"""What became of each file, in a few bytes each: an ingestion may have a million of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, overload

from rushhour.rag.documents.sources import Sources
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome

_ROW: Final = Struct("=B5I")
_NAME: Final = "\0"
"""Stands for the file's name in a reason: thousands of files in a folder may be of the same unknown format."""
_OUTCOMES: Final = (None, *Outcome)
"""By the first number of a row; a row of zeros is a file that nothing has become of."""


class Reports(Sequence[FileReport]):
    """The reports about some sources, in their order, however they come in; one at a place is found by reading all.

    Names are the sources', which are gone through again; reasons that differ in the name alone are kept once.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._rows = bytearray(_ROW.size * len(sources))
        self._reasons: dict[int, str] = {}
        self._said: dict[str, str] = {}
        self._done = 0

    def put(self, place: int, report: FileReport) -> None:
        """Note what became of the source at a place, once."""
        numbers = (report.chunks, report.embedded, report.deleted, report.kept, report.attempts)
        _ROW.pack_into(self._rows, place * _ROW.size, _OUTCOMES.index(report.outcome), *numbers)
        if report.reason:
            said = report.reason.replace(report.name, _NAME)
            self._reasons[place] = self._said.setdefault(said, said)
        self._done += 1

    def __len__(self) -> int:
        return self._done

    def __iter__(self) -> Iterator[FileReport]:
        for place, (source, row) in enumerate(zip(self._sources, _ROW.iter_unpack(self._rows), strict=True)):
            code, chunks, embedded, deleted, kept, attempts = row
            if (outcome := _OUTCOMES[code]) is not None:
                reason = self._reasons.get(place, "").replace(_NAME, source.name)
                yield FileReport(source.name, outcome, reason, chunks, embedded, deleted, kept, attempts)

    @overload
    def __getitem__(self, at: int) -> FileReport: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[FileReport]: ...

    def __getitem__(self, at: int | slice) -> FileReport | Sequence[FileReport]:
        return tuple(self)[at]
