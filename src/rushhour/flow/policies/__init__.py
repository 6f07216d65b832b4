"""One thing done round a hop, one file each; no policy knows a sibling."""
