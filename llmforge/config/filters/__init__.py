"""The rules of `curate.filters`, each a section of limits, by what they judge; `curate_rules.py` puts them together."""
