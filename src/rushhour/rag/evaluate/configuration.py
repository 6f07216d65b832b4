"""Ways to retrieve that are compared: a ranking, with or without a reranker after it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from rushhour.errors import InvalidRequest
from rushhour.rag.retrieval.fuse import FUSIONS

RERANK: Final = "+rerank"
USUAL: Final = "dense,lexical,rrf,fusion"


@dataclass(frozen=True, slots=True)
class Configuration:
    """`ranking` is a key of `FUSIONS`."""

    ranking: str
    rerank: bool = False

    @property
    def name(self) -> str:
        """What people call it, as in `fusion+rerank`."""
        return f"{self.ranking}{RERANK if self.rerank else ''}"


def configurations_of(text: str) -> tuple[Configuration, ...]:
    """Read names separated by commas, each once; raises InvalidRequest, suggesting what may have been meant."""
    known = {one.name: one for ranking in FUSIONS for one in (Configuration(ranking), Configuration(ranking, True))}
    chosen: dict[str, Configuration] = {}
    for name in (part.replace(" ", "").lower() for part in text.split(",")):
        if not name:
            continue
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]}?" if close else f"choose from {', '.join(known)}."
            raise InvalidRequest(f"There is no configuration {name!r}; {meant}", param="--compare")
        chosen[name] = known[name]
    if not chosen:
        raise InvalidRequest(f"--compare names nothing; the usual is {USUAL}.", param="--compare")
    return tuple(chosen.values())
