"""The way of a document: read, compare, cut, embed what is new, write, flip, clear up."""
