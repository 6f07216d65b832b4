"""Embeddings from the words of a text: deterministic, of unit length, and alike for texts that are alike.

Signed feature hashing (Weinberger et al. 2009) of stemmed words and pairs of neighbours, with logarithmic counts;
common words weigh little and long words more, which stands in for the rarity that one text alone cannot tell. The
model's name salts the hash: vectors of different models do not compare, as in life.

Vectors nest, as those of models that take `dimensions` do (Kusupati et al. 2022): the shorter vector is the beginning
of the longer one, made of unit length again. So each feature has a place in every block of the vector, whose blocks
double in size, with an energy that is the block's share of the dimensions: any beginning is then as good as features
hashed to so many places at once.
"""

from __future__ import annotations

import zlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rushhour.simulator.lru import LeastRecentlyUsed
from rushhour.simulator.words import STOP_WORDS, WORD, stem

UnitVector: TypeAlias = NDArray[np.float32]

_STOP_WEIGHT = 0.05
_PAIR_WEIGHT = 0.25
_CACHED_TEXTS = 16_384
_CACHED_WORDS = 65_536
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_BLOCKS = np.array([16, 16, 32, 64, 128, 256, 512, 1024, 2048], np.uint64)
_STARTS = np.cumsum(_BLOCKS) - _BLOCKS
_SALTS = np.arange(1, 2 * len(_BLOCKS), 2, dtype=np.uint64) * np.uint64(0xBF58476D1CE4E5B9)


class TextVectors:
    """Turns texts into vectors; remembers the latest texts and words, for the CPU's sake."""

    def __init__(self) -> None:
        self._texts: LeastRecentlyUsed[tuple[str, str, int], UnitVector] = LeastRecentlyUsed(_CACHED_TEXTS)
        self._words: dict[str, tuple[int, float]] = {}

    def vector(self, text: str, model: str, dimensions: int) -> UnitVector:
        """Return the unit vector of a text, shape (dimensions,), little-endian float32, not to be written to."""
        key = (text, model, dimensions)
        vector = self._texts.get(key)
        if vector is None:
            vector = self._hash(text, zlib.crc32(model.encode("utf-8", "surrogatepass")), dimensions)
            vector.flags.writeable = False
            self._texts.put(key, vector)
        return vector

    def _hash(self, text: str, salt: int, dimensions: int) -> UnitVector:
        known = [self._word(word) for word in WORD.findall(text.lower())]
        if not known:  # punctuation alone still has a direction of its own
            known = [(zlib.crc32(text.encode("utf-8", "surrogatepass")), 1.0)]
        codes = np.fromiter((code for code, _ in known), np.uint64, len(known))
        weights = np.fromiter((weight for _, weight in known), np.float64, len(known))
        pairs = codes[:-1] * np.uint64(31) + codes[1:] + np.uint64(1)
        pair_weights = _PAIR_WEIGHT * np.sqrt(weights[:-1] * weights[1:])
        features, first, counts = np.unique(np.concatenate((codes, pairs)), return_index=True, return_counts=True)
        strength = np.concatenate((weights, pair_weights))[first] * (1.0 + np.log(counts))
        vector = _spread((features ^ np.uint64(salt)) * _PRIME, strength, dimensions)
        length = float(np.linalg.norm(vector))
        if length == 0.0:  # no feature has its place here, or all cancel out: point along the first axis
            vector[0], length = 1.0, 1.0
        return (vector / length).astype("<f4")

    def _word(self, word: str) -> tuple[int, float]:
        known = self._words.get(word)
        if known is None:
            if len(self._words) >= _CACHED_WORDS:
                self._words.clear()
            weight = _STOP_WEIGHT if word in STOP_WORDS else 0.4 + 0.1 * min(len(word), 10)
            known = (zlib.crc32(stem(word).encode("utf-8", "surrogatepass")), weight)
            self._words[word] = known
        return known


def _spread(codes: NDArray[np.uint64], strength: NDArray[np.float64], dimensions: int) -> NDArray[np.float64]:
    """Return the vector of features, shape (features,) each, not yet of unit length."""
    used = int(np.searchsorted(_STARTS, dimensions))
    blocks = _BLOCKS[:used, np.newaxis]
    mixed = codes * _SALTS[:used, np.newaxis]
    mixed ^= mixed >> np.uint64(29)
    mixed *= _PRIME
    places = _STARTS[:used, np.newaxis] + ((mixed >> np.uint64(40)) & (blocks - np.uint64(1)))
    signed = np.where(mixed >> np.uint64(63), -strength, strength) * np.sqrt(blocks.astype(np.float64))
    full = int(_STARTS[used - 1] + _BLOCKS[used - 1])
    sums = np.bincount(places.ravel().astype(np.intp), weights=signed.ravel(), minlength=full)
    return sums[:dimensions].astype(np.float64)
