"""Proof: a document goes only if it is similar enough to one that stays.

Documents of a component are judged in the order of who stays. Each is compared with its candidates among the
documents kept so far, the best first; where a candidate has itself been removed, the document that was kept in its
stead stands for it. So A ~ B ~ C never removes C in favour of a B that is gone: C goes if it is similar to A.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from llmforge.dedup.tables import Rows
from llmforge.dedup.words import U64


@dataclass
class Verdicts:
    """What came of comparing.

    `documents` are sorted by who stays within each component; `keepers` holds for each the row of the document
    that stays for it (its own row, if it was not removed) and `similarities` how similar the two are.
    """

    documents: Rows
    keepers: NDArray[np.int64]
    similarities: NDArray[np.float64]
    num_compared: int = 0
    num_unlike: int = 0


def jaccard(one: U64, two: U64) -> float:
    """Exact Jaccard similarity of two shingle sets (sorted hashes): shared shingles over all shingles."""
    if len(one) == 0 or len(two) == 0:
        return 0.0
    small, large = (one, two) if len(one) <= len(two) else (two, one)
    shared = int(np.count_nonzero(large.take(large.searchsorted(small), mode="clip") == small))
    return shared / (len(one) + len(two) - shared)


def choose_keepers(documents: Rows, pairs: Rows, shingles_of: Callable[[int], U64], min_similarity: float) -> Verdicts:
    """Decide for every document whether it stays, and if not, for which one it goes.

    Args:
        documents: NODE rows, each document once.
        pairs: candidate pairs between them, each once; the first of a pair is the one to keep.
        shingles_of: the shingle set of a document, by location.
        min_similarity: Jaccard similarity from which two documents are copies.
    """
    documents = documents[np.lexsort([documents[name] for name in ("location", "name", "order", "component")])]
    verdicts = Verdicts(documents, np.arange(len(documents)), np.ones(len(documents)))
    locations = documents["location"].tolist()
    for document, candidates in _candidates(documents, pairs):
        for keeper in np.unique(verdicts.keepers[candidates]).tolist():
            one, two = shingles_of(locations[document]), shingles_of(locations[keeper])
            verdicts.num_compared += 1
            if (similarity := jaccard(one, two)) >= min_similarity:
                verdicts.keepers[document], verdicts.similarities[document] = keeper, similarity
                break
            verdicts.num_unlike += 1
    return verdicts


def _candidates(documents: Rows, pairs: Rows) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rows of documents in order, each with the rows of its candidates among those before it."""
    by_location = np.argsort(documents["location"])
    places = documents["location"][by_location]
    first, second = (by_location[np.searchsorted(places, pairs[name])] for name in ("first", "second"))
    order = np.argsort(second, kind="stable")
    first, second = first[order], second[order]
    starts = np.flatnonzero(np.diff(second, prepend=-1))
    for start, end in pairwise([*starts.tolist(), len(second)]):
        yield int(second[start]), first[start:end]
