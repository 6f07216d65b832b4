"""Flow control: what stands between many callers and a rate-limited upstream. Knows nothing of RAG."""
