"""Exact duplicates: equal texts, found by a hash of 128 bits."""

import hashlib
import unicodedata

import numpy as np

from llmforge.dedup.tables import PAIR, Rows

_WHITE_SPACE = b" \t\n\r\f\v"


def normalise(text: str) -> str:
    """A text in Unicode normal form C, in which one letter has one spelling."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def text_key(normalised: str) -> tuple[int, int]:
    """A hash of the text without its white space, as two numbers of 64 bits.

    Line wraps and indentation do not tell two documents apart; letters, case, digits and punctuation do.
    """
    characters = normalised.encode("utf-8", "surrogatepass").translate(None, _WHITE_SPACE)
    digest = hashlib.blake2b(characters, digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def group_copies(records: Rows) -> tuple[Rows, Rows]:
    """Sort records so that copies of one text under one key stand together, the one to keep first.

    Returns: the sorted records, and for each the row of the first of its group.
    """
    records = records[np.lexsort([records[name] for name in ("location", "name", "order", "text", "key")])]
    is_first = np.ones(len(records), dtype=bool)
    is_first[1:] = (records["key"][1:] != records["key"][:-1]) | (records["text"][1:] != records["text"][:-1])
    return records, np.flatnonzero(is_first)[np.cumsum(is_first) - 1]


def keep_one_copy(records: Rows) -> Rows:
    """The first record of every group of copies under one key."""
    records, firsts = group_copies(records)
    kept: Rows = records[firsts == np.arange(len(records))]
    return kept


def pair_copies(records: Rows) -> tuple[Rows, Rows]:
    """Pair every copy of a text with the one that stays.

    Returns: pairs, and the records that are in one.
    """
    records, firsts = group_copies(records)
    copies = np.flatnonzero(firsts != np.arange(len(records)))
    pairs = np.empty(len(copies), dtype=PAIR)
    pairs["first"] = records["location"][firsts[copies]]
    pairs["second"] = records["location"][copies]
    return pairs, records[np.union1d(copies, firsts[copies])]
