"""rushhour: the RAG server that survives Monday morning."""
