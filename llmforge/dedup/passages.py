"""Lines or paragraphs that stand in several places: one of them keeps the passage, the others lose it."""

import re
from collections.abc import Collection, Iterator

import numpy as np

from llmforge.config.dedup import PassageSection
from llmforge.core.documents import Document
from llmforge.dedup.exact import normalise, text_key
from llmforge.dedup.tables import CUT, Rows
from llmforge.dedup.urls import normalise_url

_ENDS = {"line": re.compile(r"(\n)"), "paragraph": re.compile(r"(\n[^\S\n]*\n\s*)")}
Keys = Iterator[tuple[int, int, int]]


def split_passages(text: str, unit: str) -> list[str]:
    """A text as its passages, each with the white space that ends it; joined they are the text."""
    parts = [*_ENDS[unit].split(text), ""]
    return [passage + end for passage, end in zip(parts[::2], parts[1::2], strict=True)]


def passage_keys(document: Document, settings: PassageSection) -> Keys:
    """Place and hash (two numbers of 64 bits) of each passage that is long enough and has a scope."""
    scope = _scope(document, settings)
    if scope is None:
        return
    for place, passage in enumerate(split_passages(normalise(document.text), settings.unit)):
        if len(passage.strip()) >= settings.min_characters:
            yield place, *text_key(f"{scope}\x00{passage}")


def _scope(document: Document, settings: PassageSection) -> str | None:
    """What is searched for the same passage; None for a page without a host where a host is searched."""
    if settings.scope == "site":
        return re.split("[/?]", normalise_url(document.url), maxsplit=1)[0] or None
    return document.id if settings.scope == "document" else ""


def find_repeats(passages: Rows, min_occurrences: int) -> Rows:
    """CUT rows of the passages that occur often enough, but for the first: that of the document that is best to keep.

    Args:
        passages: PASSAGE rows; all of a key must be there, in any order.
        min_occurrences: places that a passage stands in (count).
    """
    names = ("place", "location", "name", "order", "text", "key")
    passages = passages[np.lexsort([passages[name] for name in names])]
    is_first = np.ones(len(passages), dtype=bool)
    is_first[1:] = (passages["key"][1:] != passages["key"][:-1]) | (passages["text"][1:] != passages["text"][:-1])
    firsts = np.flatnonzero(is_first)
    group = np.cumsum(is_first) - 1
    sizes = np.diff(firsts, append=len(passages))
    chosen = ~is_first & (sizes[group] >= min_occurrences)
    cuts = np.empty(int(chosen.sum()), dtype=CUT)
    cuts["location"], cuts["place"] = passages["location"][chosen], passages["place"][chosen]
    cuts["first"] = passages["location"][firsts[group[chosen]]]
    return cuts[np.lexsort([cuts["place"], cuts["location"]])]


def cut_passages(text: str, unit: str, places: Collection[int]) -> str:
    """The text without the passages at some places."""
    return "".join(passage for place, passage in enumerate(split_passages(text, unit)) if place not in places)
