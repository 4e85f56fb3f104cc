"""Exact and near-duplicates, every removal proven."""
