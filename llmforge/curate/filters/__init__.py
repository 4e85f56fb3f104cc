"""The rules, each with its published source."""
