"""Shingles: a text as the set of its runs of n words, each run a hash of 64 bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from llmforge.dedup.words import I64, U64, hash_words, mix


@dataclass(frozen=True)
class Shingles:
    """Shingle hashes of several documents, one after the other.

    `hashes` holds all of them in the order of the text, repeats included; document i owns
    `hashes[bounds[i]:bounds[i + 1]]`, which is empty if it has no word.
    """

    hashes: U64
    bounds: I64

    def unique(self, document: int) -> U64:
        """The shingle set of one document, sorted."""
        return sort_unique(self.hashes[self.bounds[document] : self.bounds[document + 1]])


def sort_unique(hashes: U64) -> U64:
    """Every value once, sorted."""
    hashes = np.sort(hashes)
    is_new = np.ones(len(hashes), dtype=bool)
    is_new[1:] = hashes[1:] != hashes[:-1]
    return hashes[is_new]


def shingle(texts: Sequence[str], ngram_words: int) -> Shingles:
    """Hash every run of `ngram_words` words of each text.

    Args:
        texts: documents in Unicode normal form C.
        ngram_words: words in a shingle (count). A text with fewer words is one shingle: all of its words.
    """
    words, bounds = hash_words(texts)
    return combine(words, bounds, ngram_words)


def combine(units: U64, bounds: I64, size: int) -> Shingles:
    """Hash every run of `size` units of each document: a multilinear hash, mixed.

    Args:
        units: hashes of the words of all documents, one after the other, none of them 0.
        bounds: where each document begins among them, and the end of the last.
        size: units in a shingle (count).
    """
    counts = np.diff(bounds)
    num_shingles = np.where(counts >= size, counts - size + 1, np.minimum(counts, 1))
    ends = np.cumsum(num_shingles)
    # Where each shingle starts among the words: a run of consecutive words per document.
    starts = np.arange(num_shingles.sum()) + np.repeat(bounds[:-1] - (ends - num_shingles), num_shingles)
    # Runs are hashed at every place; those that reach into the next document are not among the starts.
    padded = np.concatenate([units, np.zeros(size - 1, dtype=np.uint64)])
    runs = sum_runs(padded, size)[starts]
    for document in np.flatnonzero((counts > 0) & (counts < size)).tolist():
        alone = np.zeros(size, dtype=np.uint64)
        alone[: counts[document]] = units[bounds[document] : bounds[document + 1]]
        runs[ends[document] - 1] = sum_runs(alone, size)[0]
    return Shingles(mix(runs), np.concatenate([[0], ends]).astype(np.int64))


def sum_runs(units: U64, size: int) -> U64:
    """The sum of each run of `size` units, every place of it weighted by a factor of its own."""
    num_runs = len(units) - size + 1
    total = np.zeros(num_runs, dtype=np.uint64)
    for place, factor in enumerate(_factors(size)):
        total += units[place : place + num_runs] * factor
    return total


@cache
def _factors(size: int) -> U64:
    """Odd factors, one for each place in a shingle."""
    return mix(np.arange(1, size + 1, dtype=np.uint64)) | np.uint64(1)
