"""Monday on Friday: the crowd, the naive pipeline, the production pipeline, and the report."""
