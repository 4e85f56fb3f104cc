"""Candidate components: all documents that are linked by candidate pairs, whether the pairs proved true or not."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from llmforge.dedup.tables import Rows

I64 = NDArray[np.int64]


class Components:
    """Union-find over the documents that have candidates, fed with pairs in pieces.

    Memory is 16 bytes a document that has a candidate; the pairs stay on disk.
    """

    def __init__(self, locations: NDArray[np.uint64]) -> None:
        """Every location (sorted, each once) starts as a component of its own."""
        self.locations = locations
        self._parents = np.arange(len(locations), dtype=np.int64)

    def link(self, pairs: Rows) -> None:
        """Unite the components of each pair: the one whose root stands first takes the other in."""
        one, two = self._index(pairs["first"]), self._index(pairs["second"])
        while True:
            one, two = self._roots(one), self._roots(two)
            apart = one != two
            if not apart.any():
                return
            one, two = one[apart], two[apart]
            # Of several claims on one root the smallest wins; the others are tried again.
            np.minimum.at(self._parents, np.maximum(one, two), np.minimum(one, two))

    def of(self, locations: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The component of each location: the location of its root."""
        return self.locations[self._roots(self._index(locations))]

    def _index(self, locations: NDArray[np.uint64]) -> I64:
        return np.searchsorted(self.locations, locations)

    def _roots(self, nodes: I64) -> I64:
        """The roots of some nodes; every node on the way is moved to its grandparent, so that ways halve."""
        parents = self._parents[nodes]
        while not np.array_equal(above := self._parents[parents], parents):
            self._parents[nodes] = parents = above
        return parents


def unique_locations(pieces: Iterable[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Every location of some pieces once, sorted."""
    found = np.empty(0, dtype=np.uint64)
    for piece in pieces:
        found = np.union1d(found, piece)
    return found
