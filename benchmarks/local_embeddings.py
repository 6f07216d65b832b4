"""The local embedder as a plain function, so that every contender has the same one; each text is embedded once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from rushhour.hops.local_embed import QUERY_PREFIX
from rushhour.hops.local_model import LocalModel
from rushhour.hops.model_files import cores

Vectors = NDArray[np.float32]


class LocalEmbeddings:
    """bge-small-en-v1.5 in int8; it reads 512 tokens of a text, whoever gives it more."""

    def __init__(self) -> None:
        self._model = LocalModel(None)
        self._pool = ThreadPoolExecutor(cores())
        self._known: dict[str, Vectors] = {}

    def passages(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector a text, as rows."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        for text, vector in zip(new, self._pool.map(self._embed, new), strict=True):
            self._known[text] = vector
        return np.stack([self._known[text] for text in texts])

    def questions(self, texts: Sequence[str]) -> Vectors:
        """Return the same for questions, before which the model wants an instruction."""
        return self.passages([QUERY_PREFIX + text for text in texts])

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown()

    def _embed(self, text: str) -> Vectors:
        return self._model.embed(text)[0]
