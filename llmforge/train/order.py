"""The order in which training draws samples: a pure function of a sample's index, in constant memory.

Sample `i` of the run is place `i % epoch_samples` of epoch `i // epoch_samples`. Each epoch shuffles its places with
a permutation of its own. No list of samples exists anywhere, so nothing here grows with the corpus, and the state of
the loader is one number.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmforge.core.hashing import derive_seed

_ROUNDS = 6


class Permutation:
    """A seeded bijection of the numbers below `size`.

    A Feistel network permutes the next power of four; places that land at or above `size` walk on until they do not
    (on average fewer than four times).

    Args:
        size: how many numbers are permuted (count).
        seed: equal seeds give equal permutations on every machine.

    Source: Black and Rogaway, Ciphers with Arbitrary Finite Domains (2002), for the walk; the round function is the
    finaliser of splitmix64 (Steele, Lea and Flood 2014).
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = np.uint64(size)
        half_bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
        self._half = np.uint64(half_bits)
        self._mask = np.uint64((1 << half_bits) - 1)
        self._keys = [np.uint64(derive_seed(seed, "round", number)) for number in range(_ROUNDS)]

    def __call__(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where each place goes; every place must be below `size`."""
        moved = self._network(places.astype(np.uint64))
        while (outside := moved >= self._size).any():
            moved[outside] = self._network(moved[outside])
        return moved.astype(np.int64)

    def _network(self, values: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_scramble(right + key) & self._mask)
        return (left << self._half) | right


def _scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@dataclass(frozen=True)
class SourceShare:
    """How often an epoch draws the windows of one source.

    A weight of 2.5 draws every window twice, and half of them a third time; which half moves on from epoch to epoch,
    so that after two epochs every window was drawn five times (to within one window's rounding).
    """

    name: str
    num_windows: int
    weight: float

    @property
    def num_repeated(self) -> int:
        """Draws of whole repetitions (count)."""
        return int(self.weight) * self.num_windows

    @property
    def num_extra(self) -> int:
        """Windows that are drawn once more than the others (count)."""
        return round((self.weight - int(self.weight)) * self.num_windows)

    @property
    def num_draws(self) -> int:
        """Samples of this source in an epoch (count)."""
        return self.num_repeated + self.num_extra


class SampleOrder:
    """The global order of samples over all epochs.

    Args:
        shares: the sources; their order is part of the samples' order.
        seed: the run's seed.
    """

    def __init__(self, shares: Sequence[SourceShare], seed: int) -> None:
        self._shares = tuple(shares)
        self._seed = seed
        self._ends = np.cumsum([share.num_draws for share in shares], dtype=np.int64)
        self._turns = [
            Permutation(share.num_windows, derive_seed(seed, "extra", share.name)) if share.num_extra else None
            for share in shares
        ]

    @property
    def epoch_samples(self) -> int:
        """Samples of one epoch (count)."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def draw(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each index of the global order, its source (a number) and its window within that source."""
        sources, windows = np.empty_like(indices), np.empty_like(indices)
        epochs = indices // self.epoch_samples
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            sources[here], windows[here] = self._draw_epoch(epoch, indices[here] % self.epoch_samples)
        return sources, windows

    def _draw_epoch(self, epoch: int, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        shuffled = Permutation(self.epoch_samples, derive_seed(self._seed, "epoch", epoch))(places)
        sources = np.searchsorted(self._ends, shuffled, side="right")
        windows = np.empty_like(shuffled)
        for source in np.unique(sources).tolist():
            here = sources == source
            first = int(self._ends[source]) - self._shares[source].num_draws
            windows[here] = self._windows(source, epoch, shuffled[here] - first)
        return sources, windows

    def _windows(self, source: int, epoch: int, draws: NDArray[np.int64]) -> NDArray[np.int64]:
        share, turn = self._shares[source], self._turns[source]
        windows = draws % share.num_windows
        extra = draws >= share.num_repeated
        if turn is not None and extra.any():
            places = (epoch * share.num_extra + draws[extra] - share.num_repeated) % share.num_windows
            windows[extra] = turn(places)
        return windows
