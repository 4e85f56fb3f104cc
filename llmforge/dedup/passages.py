"""Passages that stand in several places: one of them keeps the passage, the others lose it."""

import re
from collections.abc import Collection

import numpy as np

from llmforge.config.dedup import PassageSection
from llmforge.core.documents import Document
from llmforge.dedup.exact import normalise, text_key
from llmforge.dedup.substrings import Piece, cut_windows, window_keys
from llmforge.dedup.tables import CUT, PASSAGE, PLACE, Rows
from llmforge.dedup.urls import normalise_url

_ENDS = {"line": re.compile(r"(\n)"), "paragraph": re.compile(r"(\n[^\S\n]*\n\s*)")}


def split_passages(text: str, unit: str) -> list[str]:
    """A text as its passages, each with the white space that ends it; joined they are the text."""
    parts = [*_ENDS[unit].split(text), ""]
    return [passage + end for passage, end in zip(parts[::2], parts[1::2], strict=True)]


def passage_rows(document: Document, settings: PassageSection) -> Rows:
    """PASSAGE rows of one document, with key, text and place filled: of each passage that is long and has a scope."""
    scope = _scope(document, settings)
    if scope is None:
        return np.empty(0, dtype=PASSAGE)
    if settings.unit == "substring":
        key, text = window_keys(document.text, settings.min_tokens, scope)
        rows = np.zeros(len(key), dtype=PASSAGE)
        rows["key"], rows["text"], rows["place"] = key, text, np.arange(len(key))
        return rows
    passages = enumerate(split_passages(normalise(document.text), settings.unit))
    long_ones = [(place, passage) for place, passage in passages if len(passage.strip()) >= settings.min_characters]
    keyed = [(*text_key(f"{scope}\x00{passage}"), 0, 0, 0, place) for place, passage in long_ones]
    return np.array(keyed, dtype=PASSAGE)


def _scope(document: Document, settings: PassageSection) -> str | None:
    """What is searched for the same passage; None for a page without a host where a host is searched."""
    if settings.scope == "site":
        return re.split("[/?]", normalise_url(document.url), maxsplit=1)[0] or None
    return document.id if settings.scope == "document" else ""


def find_repeats(passages: Rows, min_occurrences: int) -> tuple[Rows, Rows]:
    """Passages that occur often enough: the first, that of the document that is best to keep, stays for the others.

    Args:
        passages: PASSAGE rows; all of a key must be there, in any order.
        min_occurrences: places that a passage stands in (count).
    Returns: CUT rows of the others, and PLACE rows of the first ones, both sorted by location and place.
    """
    names = ("place", "location", "name", "order", "text", "key")
    passages = passages[np.lexsort([passages[name] for name in names])]
    is_first = np.ones(len(passages), dtype=bool)
    is_first[1:] = (passages["key"][1:] != passages["key"][:-1]) | (passages["text"][1:] != passages["text"][:-1])
    firsts = np.flatnonzero(is_first)
    group = np.cumsum(is_first) - 1
    sizes = np.diff(firsts, append=len(passages))
    is_repeated = sizes[group] >= max(min_occurrences, 2)
    chosen = ~is_first & is_repeated
    cuts = np.empty(int(chosen.sum()), dtype=CUT)
    cuts["location"], cuts["place"] = passages["location"][chosen], passages["place"][chosen]
    first_rows = passages[firsts[group[chosen]]]
    cuts["first"], cuts["first_place"] = first_rows["location"], first_rows["place"]
    kept = np.empty(int((is_first & is_repeated).sum()), dtype=PLACE)
    for name in ("location", "place"):
        kept[name] = passages[name][is_first & is_repeated]
    return _by_place(cuts), _by_place(kept)


def cut_repeats(text: str, settings: PassageSection, cuts: Rows, kept: Rows) -> tuple[str, list[Piece]]:
    """Cut repeats out of the text of one document.

    Args:
        text: of the document.
        settings: of the passages.
        cuts: CUT rows of the document, by place.
        kept: PLACE rows of the document, by place: passages that it keeps for others.
    Returns: the text that is left, and the pieces that were cut.
    """
    if settings.unit == "substring":
        return cut_windows(text, settings.min_tokens, cuts, kept)
    passages = split_passages(text, settings.unit)
    places, keepers = cuts["place"].tolist(), cuts["first"].tolist()
    pieces = [Piece(passages[place], keeper) for place, keeper in zip(places, keepers, strict=True)]
    return cut_passages(text, settings.unit, set(places)), pieces


def _by_place(rows: Rows) -> Rows:
    sorted_rows: Rows = rows[np.lexsort([rows["place"], rows["location"]])]
    return sorted_rows


def cut_passages(text: str, unit: str, places: Collection[int]) -> str:
    """The text without the passages at some places."""
    return "".join(passage for place, passage in enumerate(split_passages(text, unit)) if place not in places)
