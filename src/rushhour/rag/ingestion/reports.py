"""What became of each file, in a few bytes each: an ingestion may have a million of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, overload

from rushhour.rag.documents.sources import Sources
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome

_ROW: Final = Struct("=B5I")
_OUTCOMES: Final = (None, *Outcome)
"""By the first number of a row; a row of zeros is a file that nothing has become of."""


class Reports(Sequence[FileReport]):
    """The reports about some sources, in their order, however they come in; one at a place is found by reading all.

    Names are the sources', which are gone through again; only reasons, which few files have, are kept as they are.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._rows = bytearray(_ROW.size * len(sources))
        self._reasons: dict[int, str] = {}
        self._done = 0

    def put(self, place: int, report: FileReport) -> None:
        """Note what became of the source at a place, once."""
        numbers = (report.chunks, report.embedded, report.deleted, report.kept, report.attempts)
        _ROW.pack_into(self._rows, place * _ROW.size, _OUTCOMES.index(report.outcome), *numbers)
        if report.reason:
            self._reasons[place] = report.reason
        self._done += 1

    def __len__(self) -> int:
        return self._done

    def __iter__(self) -> Iterator[FileReport]:
        for place, (source, row) in enumerate(zip(self._sources, _ROW.iter_unpack(self._rows), strict=True)):
            code, chunks, embedded, deleted, kept, attempts = row
            if (outcome := _OUTCOMES[code]) is not None:
                reason = self._reasons.get(place, "")
                yield FileReport(source.name, outcome, reason, chunks, embedded, deleted, kept, attempts)

    @overload
    def __getitem__(self, at: int) -> FileReport: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[FileReport]: ...

    def __getitem__(self, at: int | slice) -> FileReport | Sequence[FileReport]:
        return tuple(self)[at]
