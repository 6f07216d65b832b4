"""Measurements of the promises, each a module to run: `python -m benchmarks.<name>`; see README.md beside this."""
