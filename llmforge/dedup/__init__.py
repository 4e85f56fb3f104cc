"""Deduplication: copies are found by hashing, proved by comparing, and removed in favour of one that stays."""
