"""Adapters: one foreign API a file, spoken in one vocabulary."""
