"""A sentence encoder from files: by default BAAI/bge-small-en-v1.5 in int8, one text through it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from rushhour.errors import MalformedReply
from rushhour.hops.contract import Vector
from rushhour.hops.model_files import MAX_LENGTH, Network, Weights, load_tokenizer

BGE: Final = Weights(
    name="bge-small-en-v1.5-int8",
    kind="embedding model",
    folder="bge_small_en",
    sha256={
        "model.onnx": "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
        "tokenizer.json": "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
    },
    otherwise="choose an API: RUSHHOUR_EMBED__PROVIDER=openai",
)


class LocalModel:
    """A loaded encoder: CLS pooling, unit length; any number of threads may use one at once.

    Loading reads and checks the files (a quarter of a second), so it belongs in a thread. Raises SettingsError.
    """

    def __init__(self, directory: Path | None) -> None:
        self._network = Network(BGE, directory)
        self._tokenizer = load_tokenizer(BGE, directory)
        self._tokenizer.enable_truncation(MAX_LENGTH)
        self.dimensions = self.embed("dimensions")[0].size

    def embed(self, text: str) -> tuple[Vector, int]:
        """Return the unit vector of one text and how many tokens it was, cut at 512."""
        encoding = self._tokenizer.encode(text)
        output = self._network.run(encoding)
        return _unit(output[0, 0] if output.ndim == 3 else output[0]), len(encoding.ids)


def _unit(row: Vector) -> Vector:
    length = float(np.linalg.norm(row))
    if not np.isfinite(length) or length == 0:
        raise MalformedReply("The local embedding model produced a vector without a direction (NaN or zeros).")
    return (row / length).astype(np.float32, copy=False)
