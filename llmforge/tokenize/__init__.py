"""Tokenizers, and the token store that training reads."""
