"""Exact substrings: runs of at least n tokens that stand in several places, inside a line or across many.

A token is what stands between white space, with its case and punctuation; in scripts without spaces each character is
one. Every window of n tokens is hashed, so that two texts share a run of n tokens or more exactly where they share
windows: what a suffix array would find, by sorted files instead of one array in memory. Of each window that stands in
several places the first is kept whole, and what the others cover is cut, but for what is kept and for remains that are
shorter than n tokens.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xxhash
from numpy.typing import NDArray

from llmforge.dedup.shingles import sum_runs
from llmforge.dedup.tables import Rows
from llmforge.dedup.words import U64, UNSPACED, mix

_ALONE = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
_TOKEN = re.compile(rf"[{_ALONE}]|[^\s{_ALONE}]+")


@dataclass(frozen=True)
class Piece:
    """A piece of text that is cut out, and where the document stands that keeps it (its location)."""

    text: str
    keeper: int


def window_keys(text: str, size: int, scope: str) -> tuple[U64, U64]:
    """Two hashes of 64 bits of every window of tokens.

    Args:
        text: as it was read; only white space between tokens is no part of the comparison.
        size: tokens in a window (count).
        scope: windows of different scopes have different hashes.
    Returns: the two hashes, window i beginning at token i; none of a text with fewer tokens.
    """
    units = np.array([_hash(token) for token in _TOKEN.findall(text)], dtype=np.uint64)
    if len(units) < size:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
    return mix(sum_runs(units, size) + np.uint64(_hash(scope))), mix(sum_runs(mix(units), size))


def cut_windows(text: str, size: int, cuts: Rows, kept: Rows) -> tuple[str, list[Piece]]:
    """Cut out what some windows cover, but for what others keep.

    Args:
        text: of one document.
        size: tokens in a window (count).
        cuts: CUT rows of the document, by place.
        kept: PLACE rows of the windows that this document keeps for others or for itself, by place.
    Returns: the text that is left, and the pieces that were cut, each of which its keeper still holds.
    """
    starts = [match.start() for match in _TOKEN.finditer(text)]
    is_cut = _covered(len(starts), cuts, size) & ~_covered(len(starts), kept, size)
    limits, left, pieces = [*starts, len(text)], [], []
    end = 0
    for first, last, keeper in _pieces(is_cut, cuts, size):
        start, stop = limits[first], limits[last]
        left.append(text[end:start])
        pieces.append(Piece(text[start:stop], keeper))
        end = stop
    return "".join([*left, text[end:]]), pieces


def _hash(token: str) -> int:
    return xxhash.xxh3_64_intdigest(token.encode("utf-8", "surrogatepass"))


def _covered(num_tokens: int, windows: Rows, size: int) -> NDArray[np.bool_]:
    """Which tokens stand in some window."""
    changes = np.zeros(num_tokens + 1, dtype=np.int64)
    np.add.at(changes, windows["place"], 1)
    np.add.at(changes, windows["place"] + np.uint64(size), -1)
    return np.asarray(np.cumsum(changes)[:-1] > 0)


def _pieces(is_cut: NDArray[np.bool_], cuts: Rows, size: int) -> Iterator[tuple[int, int, int]]:
    """Ranges of tokens to cut, each as it stands, in one run, in the document whose location comes with it."""
    chains = _chains(cuts, size)
    edges = np.flatnonzero(np.diff(is_cut, prepend=False, append=False)).tolist()
    long_runs = [run for run in zip(edges[::2], edges[1::2], strict=True) if run[1] - run[0] >= size]
    for first, last in long_runs:
        while first < last:
            _, stop, keeper = chains[bisect_right(chains, first, key=lambda chain: chain[0]) - 1]
            yield first, min(last, stop), keeper
            first = min(last, stop)


def _chains(cuts: Rows, size: int) -> list[tuple[int, int, int]]:
    """Windows that follow each other here and in their keeper alike, as ranges of tokens with the keeper."""
    follows = np.zeros(len(cuts), dtype=bool)
    steps = [np.diff(cuts[name].astype(np.int64)) for name in ("place", "first_place", "first")]
    follows[1:] = (steps[0] == 1) & (steps[1] == 1) & (steps[2] == 0)
    firsts, lasts = np.flatnonzero(~follows), np.flatnonzero(np.roll(~follows, -1))
    ends = cuts["place"][lasts] + np.uint64(size)
    return list(zip(cuts["place"][firsts].tolist(), ends.tolist(), cuts["first"][firsts].tolist(), strict=True))
