"""Locality-sensitive hashing: documents whose signatures agree in a whole band are candidates.

A signature of bands x rows values is cut into bands; two documents are a candidate pair if all rows of at least
one band are equal.
"""

import math
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llmforge.dedup.exact import keep_one_copy
from llmforge.dedup.minhash import U32
from llmforge.dedup.tables import PAIR, Rows
from llmforge.dedup.words import U64, mix

Similarity = TypeVar("Similarity", float, NDArray[np.float64])

SIMILARITIES = (0.5, 0.6, 0.7, 0.8, 0.9)  # where the catch curve is told
# In a bucket of m documents each is paired with the 8 that would be kept first and with the 8 before it, never
# with all others: a million pages of one template stay a matter of 16 million pairs, not of 5 * 10**11.
NUM_BEST = 8
NUM_BEFORE = 8


def candidate_probability(similarity: Similarity, bands: int, rows: int) -> Similarity:
    """Probability that two documents share at least one band: the catch curve.

    Args:
        similarity: Jaccard similarity of the two shingle sets, 0 to 1; one or an array of them.
        bands: bands of the signature (count).
        rows: hash values in a band (count).
    Returns: 1 - (1 - similarity ** rows) ** bands.
    Source: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.2.
    """
    return 1.0 - (1.0 - similarity**rows) ** bands


def catch_curve(bands: int, rows: int) -> dict[float, float]:
    """The share of pairs that become candidates, at similarities from 0.5 to 0.9."""
    return {similarity: candidate_probability(similarity, bands, rows) for similarity in SIMILARITIES}


def draw_curve(bands: int, rows: int) -> list[str]:
    """The catch curve as lines of text, a bar for each similarity."""
    lines = [f"{bands} bands x {rows} rows find, of the pairs at similarity"]
    return lines + [
        f"  {at}  {share:6.1%}  {'#' * round(40 * share)}" for at, share in catch_curve(bands, rows).items()
    ]


def choose_bands(recall: float, similarity: float, max_values: int = 512) -> tuple[int, int]:
    """The most selective bands and rows that catch a share of the pairs at a similarity.

    Of all choices within `max_values` the one with the most rows is taken, because more rows mean fewer
    candidates to compare, and of its bands the fewest.

    Args:
        recall: share of the pairs that must become candidates, between 0 and 1, both excluded.
        similarity: Jaccard similarity at which this is asked, between 0 and 1, both excluded.
        max_values: length of the longest signature (count).
    Returns: bands, rows.
    Raises: ValueError if recall or similarity is out of range, or no choice fits.
    """
    if not 0 < recall < 1 or not 0 < similarity < 1:
        raise ValueError(f"recall {recall} and similarity {similarity} must lie between 0 and 1")
    for rows in range(max_values, 0, -1):
        bands = math.ceil(math.log1p(-recall) / math.log1p(-(similarity**rows)))
        if bands * rows <= max_values:
            return bands, rows
    raise ValueError(f"no signature of {max_values} values catches {recall:.0%} of the pairs at {similarity}")


def band_keys(signatures: U32, bands: int) -> U64:
    """One hash for every band of every signature: documents x bands.

    The factors differ from band to band, so that equal values in different bands give different keys.
    """
    values = signatures.reshape(len(signatures), bands, -1).astype(np.uint64)
    return mix((values * _factors(bands, values.shape[2])).sum(axis=2, dtype=np.uint64))


def candidate_pairs(records: Rows) -> tuple[Rows, Rows, int]:
    """Pair documents that share a band key.

    Args:
        records: documents under band keys; all records of a key must be there, in any order. Copies of one text
            under one key count once.
    Returns: pairs, each once; the records that are in one; and how many pairs were left out because a bucket
        holds too many documents to pair all with all.
    """
    records = _rank_in_buckets(keep_one_copy(_sharing_a_key(records)))
    rows = np.arange(len(records))
    first, size = _buckets(records["key"])
    place = rows - first
    near = [(rows - distance, rows, place >= distance) for distance in range(1, NUM_BEFORE + 1)]
    best = [(first + rank, rows, place > rank + NUM_BEFORE) for rank in range(NUM_BEST)]
    chosen = [(one[mask], two[mask]) for one, two, mask in near + best]
    pairs = np.empty(sum(len(one) for one, _ in chosen), dtype=PAIR)
    pairs["first"] = records["location"][np.concatenate([one for one, _ in chosen])]
    pairs["second"] = records["location"][np.concatenate([two for _, two in chosen])]
    possible = int((size[place == 0] * (size[place == 0] - 1) // 2).sum())
    return unique_pairs(pairs), records[size > 1], possible - len(pairs)


def unique_pairs(pairs: Rows) -> Rows:
    """Every pair once, sorted by its second document."""
    pairs = pairs[np.lexsort([pairs["first"], pairs["second"]])]
    is_new = np.ones(len(pairs), dtype=bool)
    is_new[1:] = pairs[1:] != pairs[:-1]
    return pairs[is_new]


def _sharing_a_key(records: Rows) -> Rows:
    """Records whose key another record has too; most have not, and need no sorting."""
    order = np.argsort(records["key"])
    keys = records["key"][order]
    same = np.zeros(len(keys) + 1, dtype=bool)
    same[1:-1] = keys[1:] == keys[:-1]
    return records[order[same[1:] | same[:-1]]]


def _rank_in_buckets(records: Rows) -> Rows:
    """Sort by key, and under one key by who stays."""
    return records[np.lexsort([records[name] for name in ("location", "name", "order", "key")])]


def _buckets(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each row of a sorted column: the first row with its key, and how many have it."""
    is_first = np.ones(len(keys), dtype=bool)
    is_first[1:] = keys[1:] != keys[:-1]
    starts = np.flatnonzero(is_first)
    bucket = np.cumsum(is_first) - 1
    return starts[bucket], np.diff(starts, append=len(keys))[bucket]


@cache
def _factors(bands: int, rows: int) -> U64:
    """Odd factors, one for each value of a signature."""
    return (mix(np.arange(1 << 20, (1 << 20) + bands * rows, dtype=np.uint64)) | np.uint64(1)).reshape(bands, rows)
