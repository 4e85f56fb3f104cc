"""MinHash: a signature whose share of equal values estimates the Jaccard similarity of two shingle sets."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from llmforge.dedup.shingles import Shingles

U32 = NDArray[np.uint32]

EMPTY = np.uint32(0xFFFFFFFF)  # what a document without shingles has everywhere
PERMUTATION_SEED = 1
_CHUNK_HASHES = 1 << 15  # small enough for the processor's cache


def sign(shingles: Shingles, num_values: int) -> U32:
    """MinHash signatures of several documents.

    Args:
        shingles: the documents; the low 32 bits of each hash are used.
        num_values: length of a signature (count).
    Returns: documents x num_values.
    Source: Broder, On the resemblance and containment of documents, 1997. The permutations are those of
        datasketch 2 (`affine32`, seed 1): mix by the finalizer of MurmurHash3, then a * h + b modulo 2**32 with
        odd a; the values are equal to those of `datasketch.MinHash` for the same shingle hashes.
    """
    signatures = np.full((num_values, len(shingles.bounds) - 1), EMPTY, dtype=np.uint32)
    hashes = mix32(shingles.hashes.astype(np.uint32))
    for first, last in _chunks(shingles.bounds):
        _minima(hashes, shingles.bounds, first, last, signatures)
    return np.ascontiguousarray(signatures.T)


def mix32(values: U32) -> U32:
    """Spread every bit of a value over all 32: the finalizer of MurmurHash3, a bijection."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))


@cache
def permutations(num_values: int) -> tuple[U32, U32]:
    """Factors and offsets of the permutations h -> a * h + b modulo 2**32."""
    random = np.random.RandomState(PERMUTATION_SEED)
    factors = random.randint(0, 1 << 31, num_values, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, random.randint(0, 1 << 32, num_values, dtype=np.uint32)


def _chunks(bounds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Ranges of documents with about `_CHUNK_HASHES` hashes each, and at least one document."""
    chunks, first = [], 0
    while first < len(bounds) - 1:
        last = int(np.searchsorted(bounds, bounds[first] + _CHUNK_HASHES, side="right")) - 1
        last = max(last, first + 1)
        chunks.append((first, last))
        first = last
    return chunks


def _minima(hashes: U32, bounds: NDArray[np.int64], first: int, last: int, signatures: U32) -> None:
    """Fill the signatures of documents first to last: the minimum of every permutation over their shingles."""
    documents = np.arange(first, last)[np.diff(bounds[first : last + 1]) > 0]
    if len(documents) == 0:
        return
    begin, end = bounds[first], bounds[last]
    factors, offsets = permutations(len(signatures))
    starts = np.arange(0, end - begin, _CHUNK_HASHES) if len(documents) == 1 else bounds[documents] - begin
    permuted = np.empty(end - begin, dtype=np.uint32)
    for row, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        np.multiply(hashes[begin:end], factor, out=permuted)
        permuted += offset
        minima = np.minimum.reduceat(permuted, starts)
        signatures[row, documents] = minima.min() if len(documents) == 1 else minima
