"""Proof: a document goes only if it is similar enough to one that stays.

Documents of a component are judged in the order of who stays. A copy (equal text, or equal URL where that is asked
for) goes with the first of its copies. Any other document is compared with its candidates among the documents kept
so far, the best first; where a candidate has itself been removed, the document that was kept in its stead stands for
it. So A ~ B ~ C never removes C in favour of a B that is gone: C goes if it is similar to A.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from llmforge.dedup.tables import EARLIER, Rows
from llmforge.dedup.words import I64, U64

Measure = Callable[[U64, U64], float]


class Method(IntEnum):
    """How a document was found to be a duplicate."""

    KEPT = 0
    EXACT = 1
    URL = 2
    NEAR = 3


@dataclass
class Verdicts:
    """What came of comparing.

    `documents` are sorted by who stays within each component; `keepers` holds for each the row of the document
    that stays for it (its own row, if it was not removed), `methods` how that was found (a `Method`), and
    `similarities` how similar the two are: NaN where only the URL is known to be equal.
    """

    documents: Rows
    keepers: I64
    methods: NDArray[np.uint8]
    similarities: NDArray[np.float64]
    num_compared: int = 0
    num_unlike: int = 0


@dataclass(frozen=True)
class Links:
    """What may join documents, as PAIR rows, each once; the first of a pair is the one to keep.

    `near` are candidates, which have to be proved; `exact` and `urls` join a copy with the first of its copies.
    """

    near: Rows
    exact: Rows
    urls: Rows


def jaccard(one: U64, two: U64) -> float:
    """Exact Jaccard similarity of two shingle sets (sorted hashes): shared shingles over all shingles."""
    shared = num_shared(one, two)
    return shared / (len(one) + len(two) - shared) if shared else 0.0


def containment(one: U64, two: U64) -> float:
    """The share of the shingles of the first set (sorted hashes) that the second holds."""
    return num_shared(one, two) / len(one) if len(one) else 0.0


def num_shared(one: U64, two: U64) -> int:
    """How many hashes two sets (sorted hashes) share."""
    small, large = (one, two) if len(one) <= len(two) else (two, one)
    if len(small) == 0:
        return 0
    return int(np.count_nonzero(large.take(large.searchsorted(small), mode="clip") == small))


def choose_keepers(
    documents: Rows,
    links: Links,
    shingles_of: Callable[[int], U64],
    min_similarity: float,
    measure: Measure = jaccard,
) -> Verdicts:
    """Decide for every document whether it stays, and if not, for which one it goes.

    Args:
        documents: NODE rows, each document once.
        links: what joins them.
        shingles_of: the shingle set of a document, by location.
        min_similarity: similarity from which two documents are copies.
        measure: similarity of the document that may go to the one that stays.
    """
    documents = documents[np.lexsort([documents[name] for name in ("location", "name", "order", "component")])]
    size = len(documents)
    verdicts = Verdicts(documents, np.arange(size), np.zeros(size, dtype=np.uint8), np.ones(size))
    copies = _copies(documents, links)
    candidates = dict(_candidates(documents, links.near))
    locations = documents["location"].tolist()
    for document in np.union1d(np.flatnonzero(copies["method"]), np.array([*candidates], dtype=np.int64)).tolist():
        if documents["order"][document] == EARLIER:
            continue
        if copies["method"][document] != Method.KEPT:
            _follow(verdicts, document, int(copies["first"][document]), int(copies["method"][document]))
            continue
        for keeper in np.unique(verdicts.keepers[candidates[document]]).tolist():
            verdicts.num_compared += 1
            similarity = measure(shingles_of(locations[document]), shingles_of(locations[keeper]))
            if similarity >= min_similarity:
                verdicts.keepers[document], verdicts.similarities[document] = keeper, similarity
                verdicts.methods[document] = Method.NEAR
                break
            verdicts.num_unlike += 1
    return verdicts


def _follow(verdicts: Verdicts, document: int, first: int, method: int) -> None:
    """Let a copy go with the first of its copies; if that one went for another, so does the copy."""
    verdicts.keepers[document] = verdicts.keepers[first]
    if verdicts.methods[first] == Method.KEPT:
        verdicts.methods[document] = method
        verdicts.similarities[document] = 1.0 if method == Method.EXACT else np.nan
    else:
        # An equal URL says nothing of how similar the two texts are; an equal text is as similar as its twin.
        verdicts.methods[document] = verdicts.methods[first] if method == Method.EXACT else method
        verdicts.similarities[document] = verdicts.similarities[first] if method == Method.EXACT else np.nan


def _copies(documents: Rows, links: Links) -> Rows:
    """For each document the row of the first of its copies, and by which method; an equal text goes before."""
    found = np.zeros(len(documents), dtype=[("first", "<i8"), ("method", "u1")])
    for pairs, method in ((links.urls, Method.URL), (links.exact, Method.EXACT)):
        first, second = _rows_of(documents, pairs)
        found["first"][second], found["method"][second] = first, method
    return found


def _candidates(documents: Rows, pairs: Rows) -> Iterator[tuple[int, I64]]:
    """Rows of documents, each with the rows of its candidates among those before it."""
    first, second = _rows_of(documents, pairs)
    order = np.argsort(second, kind="stable")
    first, second = first[order], second[order]
    starts = np.flatnonzero(np.diff(second, prepend=-1))
    for rows, document in zip(np.split(first, starts[1:]), second[starts].tolist(), strict=False):
        yield document, rows


def _rows_of(documents: Rows, pairs: Rows) -> tuple[I64, I64]:
    """Where the first and the second document of each pair stand."""
    by_location = np.argsort(documents["location"])
    places = documents["location"][by_location]
    first, second = (by_location[np.searchsorted(places, pairs[name])] for name in ("first", "second"))
    return first, second
