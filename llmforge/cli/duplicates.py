"""Removed documents beside the ones that stay: differing words stand in brackets, and bold on a terminal."""

import sys
from typing import Any

from llmforge.dedup.evidence import Part, Removal, mark_differences

_SHOWN_CHARACTERS = 600
_SHARED_AROUND = 60


def removal_lines(removal: Removal) -> list[str]:
    """A removal as lines: who went, in favour of whom, how similar, and both texts with what differs marked."""
    removed, kept = removal.removed, removal.kept
    # Of documents from one URL only that is known.
    similar = "" if removed["similarity"] is None else f", similarity {removed['similarity']:.3f}"
    head = f"{removed['id']} went, {kept['id']} stays: {removed['method']}{similar}"
    lines = [head]
    for name, document, parts in zip(
        ("went", "stays"), (removed, kept), mark_differences(removed["text"], kept["text"]), strict=True
    ):
        place = document["url"] or document["source"]
        lines.append(f"  {name:<6}{place}: {_text_of(parts)}")
    return lines


def removal_to_dict(removal: Removal) -> dict[str, Any]:
    """A removal for --json."""
    return {"removed": removal.removed, "kept": removal.kept}


def _text_of(parts: list[Part]) -> str:
    """The differing runs with a little of what is shared around them, on one line."""
    text = "".join(_marked(part.text) if part.differs else _shortened(part.text) for part in parts)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " ..."


def _marked(text: str) -> str:
    words = " ".join(text.split())
    return f"\033[1m[{words}]\033[0m " if sys.stdout.isatty() else f"[{words}] "


def _shortened(text: str) -> str:
    words = " ".join(text.split()) + " "
    if len(words) <= 2 * _SHARED_AROUND:
        return words
    return f"{words[:_SHARED_AROUND]} ... {words[-_SHARED_AROUND:]}"
