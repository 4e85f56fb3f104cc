"""Changes to a tokenizer that the library has no call for: its JSON is read, changed and read back."""

import json
from collections.abc import Callable, Collection
from typing import Any

from tokenizers import Tokenizer


def byte_pieces() -> list[str]:
    """The 256 pieces that stand for bytes where a character has no piece: `<0x00>` to `<0xFF>`."""
    return [f"<0x{byte:02X}>" for byte in range(256)]


def edit(tokenizer: Tokenizer, change: Callable[[dict[str, Any]], None]) -> Tokenizer:
    """The tokenizer with `change` applied to its JSON."""
    value = json.loads(tokenizer.to_str())
    change(value)
    return Tokenizer.from_str(json.dumps(value, ensure_ascii=False))


def without_added_tokens(value: dict[str, Any]) -> None:
    """Leave the tokens in the vocabulary, but never look for them in text."""
    value["added_tokens"] = []


def without_words(words: Collection[str], value: dict[str, Any]) -> None:
    """Take words out of the vocabulary and close the gaps: in a text, a control token's name is no control token."""
    kept = sorted((place, token) for token, place in value["model"]["vocab"].items() if token not in words)
    value["model"]["vocab"] = {token: place for place, (_, token) in enumerate(kept)}
