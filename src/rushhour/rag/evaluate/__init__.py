"""How good retrieval is on labelled questions: data sets in, figures with their uncertainty out."""
