"""The steps of dedup in order; each reads what the one before left on disk."""
