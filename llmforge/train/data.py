"""Samples out of the token store: windows, this rank's slice of a global batch, and the hash of what was drawn.

A window is `context + 1` tokens of one source, whose shards are read as one stream; neighbouring windows share one
token, so that every token of the stream but the first is a target once. Tokens that fill no window at a stream's end
are not drawn.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from llmforge.core.errors import InputError
from llmforge.core.hashing import derive_seed, hash_bytes
from llmforge.parallel.strategy import IGNORE, MicroBatch
from llmforge.tokenize.token_store import DocumentSpan, TokenStore
from llmforge.train.order import Permutation, SampleOrder, SourceShare
from llmforge.train.plan import BatchShape

NOTHING_DRAWN = hash_bytes(b"")
"""The data hash before the first sample."""


class SourceStream:
    """The tokens of one source, its shards end to end."""

    def __init__(self, store: TokenStore, name: str) -> None:
        self.name = name
        self._store = store
        self._shards = [number for number, shard in enumerate(store.shards) if shard.source == name]
        self._ends = np.cumsum([store.shards[number].num_tokens for number in self._shards], dtype=np.int64)

    @property
    def num_tokens(self) -> int:
        """Tokens of the source (count)."""
        return int(self._ends[-1])

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """Tokens `start` to `start + length` of the stream."""
        return np.concatenate([self._store.read(*piece) for piece in self._pieces(start, length)])

    def documents(self, start: int, length: int) -> list[DocumentSpan]:
        """The documents that own these tokens, in order."""
        return [span for piece in self._pieces(start, length) for span in self._store.documents(*piece)]

    def _pieces(self, start: int, length: int) -> Iterator[tuple[int, int, int]]:
        """(shard, start within it, length) of each shard that the range touches."""
        place = int(np.searchsorted(self._ends, start, side="right"))
        while length > 0:
            first = int(self._ends[place - 1]) if place else 0
            taken = min(length, int(self._ends[place]) - start)
            yield self._shards[place], start - first, taken
            start, length, place = start + taken, length - taken, place + 1


def open_streams(store: TokenStore) -> list[SourceStream]:
    """One stream a source, by name."""
    return [SourceStream(store, name) for name in sorted({shard.source for shard in store.shards})]


class TrainingData:
    """The training split in the global order of samples.

    Args:
        store: the training split.
        context: tokens of a sequence (count).
        weights: how often an epoch draws a source, by name; 1.0 where none is given.
        seed: the run's seed.

    Raises: InputError if no source fills one window.
    """

    def __init__(self, store: TokenStore, context: int, weights: Mapping[str, float], seed: int) -> None:
        self._context = context
        self._streams = open_streams(store)
        self.shares = tuple(
            SourceShare(stream.name, max(0, stream.num_tokens - 1) // context, weights.get(stream.name, 1.0))
            for stream in self._streams
        )
        self.order = SampleOrder(self.shares, derive_seed(seed, "train", "order"))
        if self.order.epoch_samples == 0:
            raise InputError(
                f"the training split holds {store.num_tokens:,} tokens, and no source fills a window of {context + 1} "
                "at its weight",
                "give it more text, or set model.context lower or the weights higher",
            )

    def sequences(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The windows of these samples, one a row: (samples, context + 1) token ids."""
        sources, windows = self.order.draw(indices)
        rows = [
            self._streams[source].read(window * self._context, self._context + 1)
            for source, window in zip(sources.tolist(), windows.tolist(), strict=True)
        ]
        return np.stack(rows)

    def hash_after(self, before: str, indices: NDArray[np.int64]) -> str:
        """The running hash of all samples drawn, after these ones."""
        sources, windows = self.order.draw(indices)
        drawn = np.stack([sources, windows]).astype("<i8").tobytes()
        return hash_bytes(bytes.fromhex(before) + drawn)

    def documents(self, indices: NDArray[np.int64]) -> list[DocumentSpan]:
        """The documents that these samples were cut from, each once, in the order in which they are met."""
        sources, windows = self.order.draw(indices)
        found: dict[tuple[str, str], DocumentSpan] = {}
        for source, window in zip(sources.tolist(), windows.tolist(), strict=True):
            for span in self._streams[source].documents(window * self._context, self._context + 1):
                found.setdefault((span.source, span.id), span)
        return list(found.values())


def micro_batches(data: TrainingData, shape: BatchShape, step: int) -> list[MicroBatch]:
    """The share of this rank of the step that follows `step` earlier ones."""
    batches = []
    for indices in shape.local_indices(step):
        rows = torch.from_numpy(data.sequences(indices))
        batches.append(MicroBatch(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()))
    return batches


class ValidationData:
    """The validation split, every token of which is a target exactly once.

    The end-of-document token stands before each source's first token, so that it, too, is predicted. The last window
    of a source is filled up with positions that have no loss.
    """

    def __init__(self, store: TokenStore, context: int, seed: int) -> None:
        self._context, self._eos_id = context, store.eos_id
        self._streams = open_streams(store)
        counts = [-(-stream.num_tokens // context) for stream in self._streams]
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._seed = derive_seed(seed, "train", "validation")
        self.num_tokens, self.num_bytes = store.num_tokens, store.num_bytes

    @property
    def num_windows(self) -> int:
        """Windows of the split (count)."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def choose(self, num_tokens: int | None) -> NDArray[np.int64]:
        """Windows of about `num_tokens` tokens, the same at every call, spread over the split; None: all of them."""
        every = np.arange(self.num_windows, dtype=np.int64)
        if num_tokens is None or num_tokens >= self.num_tokens:
            return every
        return Permutation(self.num_windows, self._seed)(every[: -(-num_tokens // self._context)])

    def batches(self, windows: NDArray[np.int64], shape: BatchShape) -> Iterator[MicroBatch]:
        """The share of this rank of the windows; every rank gets the same number of batches, empty ones if need be."""
        per_round = shape.micro_sequences * shape.data_world
        for first in range(0, len(windows), per_round):
            begin = first + shape.data_rank * shape.micro_sequences
            yield self._batch(windows[begin : min(begin + shape.micro_sequences, len(windows))], shape.micro_sequences)

    def _batch(self, windows: Sequence[int] | NDArray[np.int64], num_rows: int) -> MicroBatch:
        tokens = np.full((num_rows, self._context), self._eos_id, dtype=np.int64)
        targets = np.full((num_rows, self._context), IGNORE, dtype=np.int64)
        for row, window in enumerate(windows):
            found = self._targets(int(window))
            targets[row, : len(found)] = found
            tokens[row, 1 : len(found)] = found[:-1]
            tokens[row, 0] = self._before(int(window))
        return MicroBatch(torch.from_numpy(tokens), torch.from_numpy(targets))

    def _place(self, window: int) -> tuple[SourceStream, int]:
        source = int(np.searchsorted(self._ends, window, side="right"))
        first = int(self._ends[source - 1]) if source else 0
        return self._streams[source], (window - first) * self._context

    def _targets(self, window: int) -> NDArray[np.int64]:
        stream, start = self._place(window)
        return stream.read(start, min(self._context, stream.num_tokens - start))

    def _before(self, window: int) -> int:
        stream, start = self._place(window)
        return self._eos_id if start == 0 else int(stream.read(start - 1, 1)[0])
