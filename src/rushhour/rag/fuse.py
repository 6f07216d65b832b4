"""One ranking out of two: dense similarity and BM25 (DESIGN: "Retrieval defaults").

Score fusion keeps what ranks throw away: how much better the first hit is than the second. BM25 is divided by its
maximum for the query, cosine is min-max scaled over the hits, and each counts for half. On labelled data it beat
reciprocal rank fusion in every pair of data set and embedder that was tried.
"""

from __future__ import annotations

from collections.abc import Mapping


def score_fusion(dense: Mapping[str, float], lexical: Mapping[str, float]) -> dict[str, float]:
    """Fuse cosine and BM25 scores by id; returns scores in [0, 1], best first, ties by id.

    An id that only one side found counts zero on the other.
    """
    fused = dict.fromkeys((*dense, *lexical), 0.0)
    if dense:
        low, high = min(dense.values()), max(dense.values())
        spread = high - low
        for chunk, cosine in dense.items():
            fused[chunk] += 0.5 * ((cosine - low) / spread if spread else 1.0)
    best = max(lexical.values(), default=0.0)
    if best > 0:
        for chunk, bm25 in lexical.items():
            fused[chunk] += 0.5 * max(bm25, 0.0) / best
    return dict(sorted(fused.items(), key=lambda hit: (-hit[1], hit[0])))
