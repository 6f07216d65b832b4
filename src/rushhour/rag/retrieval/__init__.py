"""From a question to passages: both sides, fused, filtered, reranked, packed."""
