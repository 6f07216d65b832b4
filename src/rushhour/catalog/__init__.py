"""What we know durably: collections, files and chunks."""
