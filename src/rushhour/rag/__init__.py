"""The RAG logic, made of hops and the catalog alone."""
