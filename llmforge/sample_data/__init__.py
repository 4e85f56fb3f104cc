"""Real corpora made out of the Python installation at hand."""
