"""Batches out of the token store: this rank's slice of a global batch, validation, and the hash of what was drawn."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.core.hashing import derive_seed, hash_bytes
from llmforge.parallel.strategy import IGNORE, MicroBatch
from llmforge.tokenize.packing import PADDING, Packing
from llmforge.tokenize.rows import Piece, Row, Rows, SourceStream, open_streams, pack_rows
from llmforge.tokenize.token_store import DocumentSpan, TokenStore
from llmforge.train.order import Permutation, SampleOrder, SourceShare
from llmforge.train.plan import BatchShape, source_weights

_DRAWN_AHEAD = 4096

NOTHING_DRAWN = hash_bytes(b"")
"""The data hash before the first sample."""


class TrainingData:
    """The training split in the global order of samples; a sample is a row of one source.

    Args:
        store: the training split.
        context: tokens of a sequence (count).
        weights: how often an epoch draws a source, by name; 1.0 where none is given.
        seed: the run's seed.
        packing: how documents fill rows.
        document_mask: whether batches tell which document each token belongs to.

    Raises: InputError if no source fills one row.
    """

    def __init__(
        self,
        store: TokenStore,
        context: int,
        weights: Mapping[str, float],
        seed: int,
        *,
        packing: Packing = "concatenate",
        document_mask: bool = False,
    ) -> None:
        self._document_mask = document_mask
        self.sources = [pack_rows(stream, packing, context, store.eos_id) for stream in open_streams(store)]
        self.shares = tuple(
            SourceShare(rows.stream.name, rows.num_rows, weights.get(rows.stream.name, 1.0)) for rows in self.sources
        )
        self.order = SampleOrder(self.shares, derive_seed(seed, "train", "order"))
        self._drawn = (0, 0, (np.zeros(0, np.int64), np.zeros(0, np.int64)))
        if self.order.epoch_samples == 0:
            raise InputError(
                f"the training split holds {store.num_tokens:,} tokens, and no source fills a window of {context + 1} "
                "at its weight",
                "give it more text, or set model.context lower or the weights higher",
            )

    def rows(self, indices: NDArray[np.int64]) -> list[Row]:
        """The rows of these samples."""
        return [rows.row(number, with_documents=self._document_mask) for rows, number in self._draw(indices)]

    def batch(self, indices: NDArray[np.int64]) -> MicroBatch:
        """The rows of these samples as one batch."""
        rows = self.rows(indices)
        targets, is_target = np.stack([row.targets for row in rows]), np.stack([row.is_target for row in rows])
        targets[~is_target] = IGNORE
        documents = [row.documents for row in rows if row.documents is not None]
        return MicroBatch(
            torch.from_numpy(np.stack([row.tokens for row in rows])),
            torch.from_numpy(targets),
            torch.from_numpy(np.stack(documents)) if self._document_mask else None,
        )

    def draw_step(self, indices: NDArray[np.int64]) -> None:
        """Draw the samples of a step, neighbours in the global order, with those that follow: many cost little more."""
        first, length, _ = self._drawn
        begin, end = int(indices[0]), int(indices[-1]) + 1
        if begin < first or end > first + length:
            ahead = np.arange(begin, max(end, begin + _DRAWN_AHEAD), dtype=np.int64)
            self._drawn = (begin, len(ahead), self.order.draw(ahead))

    def _places(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        first, length, (sources, numbers) = self._drawn
        here = indices - first
        if len(here) and 0 <= int(here.min()) and int(here.max()) < length:
            return sources[here], numbers[here]
        return self.order.draw(indices)

    def hash_after(self, before: str, indices: NDArray[np.int64]) -> str:
        """The running hash of all samples drawn, after these ones."""
        drawn = np.stack(self._places(indices)).astype("<i8").tobytes()
        return hash_bytes(bytes.fromhex(before) + drawn)

    def pieces(self, index: int) -> tuple[SourceStream, list[Piece]]:
        """The source of a sample, and the ranges of it that the row consists of."""
        ((rows, number),) = self._draw(np.array([index], dtype=np.int64))
        return rows.stream, rows.pieces(number)

    def documents(self, indices: NDArray[np.int64]) -> list[DocumentSpan]:
        """The documents that these samples were made of, each once, in the order in which they are met."""
        found: dict[tuple[str, str], DocumentSpan] = {}
        for rows, number in self._draw(indices):
            for piece in rows.pieces(number):
                for span in rows.stream.documents(*piece):
                    found.setdefault((span.source, span.id), span)
        return list(found.values())

    def _draw(self, indices: NDArray[np.int64]) -> list[tuple[Rows, int]]:
        """The source of each sample, and the number of its row there."""
        sources, numbers = self._places(indices)
        return [
            (self.sources[source], number) for source, number in zip(sources.tolist(), numbers.tolist(), strict=True)
        ]


def open_training_data(settings: Settings, store: TokenStore, context: int) -> TrainingData:
    """The training split as the settings have it drawn."""
    train = settings.train
    return TrainingData(
        store,
        context,
        source_weights(settings),
        settings.run.seed,
        packing=train.packing,
        document_mask=train.document_mask,
    )


def micro_batches(data: TrainingData, shape: BatchShape, step: int) -> list[MicroBatch]:
    """The share of this rank of the step that follows `step` earlier ones."""
    data.draw_step(shape.global_indices(step))
    return [data.batch(indices) for indices in shape.local_indices(step)]


class ValidationData:
    """The validation split, every token of which is a target exactly once.

    The end-of-document token stands before each source's first token, so that it, too, is predicted. The last window
    of a source is filled up with positions that have no loss. With `document_mask`, batches tell which document each
    token belongs to.
    """

    def __init__(self, store: TokenStore, context: int, seed: int, *, document_mask: bool = False) -> None:
        self._context, self._eos_id, self._document_mask = context, store.eos_id, document_mask
        self._streams = open_streams(store)
        counts = [-(-stream.num_tokens // context) for stream in self._streams]
        self._ends = np.cumsum(counts, dtype=np.int64)
        self._seed = derive_seed(seed, "train", "validation")
        self.num_tokens, self._shards = store.num_tokens, store.shards

    def tokens_per_byte(self, source: str | None = None) -> float:
        """Tokens for each UTF-8 byte of text; of one source, or of the whole split."""
        shards = [shard for shard in self._shards if source in (None, shard.source)]
        return sum(shard.num_tokens for shard in shards) / sum(shard.num_bytes for shard in shards)

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

    def by_source(self, windows: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
        """The windows that each source has among these."""
        owner = np.searchsorted(self._ends, windows, side="right")
        return {self._streams[source].name: windows[owner == source] for source in np.unique(owner).tolist()}

    def batches(self, windows: NDArray[np.int64], shape: BatchShape) -> Iterator[MicroBatch]:
        """The share of this rank of the windows; every rank gets the same number of batches, empty ones if need be."""
        per_round = shape.micro_sequences * shape.data_world
        for first in range(0, len(windows), per_round):
            begin = first + shape.data_rank * shape.micro_sequences
            yield self._batch(windows[begin : min(begin + shape.micro_sequences, len(windows))], shape.micro_sequences)

    def _batch(self, windows: Sequence[int] | NDArray[np.int64], num_rows: int) -> MicroBatch:
        tokens = np.full((num_rows, self._context), self._eos_id, dtype=np.int64)
        targets = np.full((num_rows, self._context), IGNORE, dtype=np.int64)
        documents = np.full((num_rows, self._context), PADDING, dtype=np.int64)
        for row, window in enumerate(windows):
            stream, start = self._place(int(window))
            size = min(self._context, stream.num_tokens - start)
            targets[row, :size] = stream.read(start, size)
            tokens[row, 1:size] = targets[row, : size - 1]
            # What stands before the window: its document's, or the end token that stands before the first document.
            before = stream.read(start - 1, 1) if start else [self._eos_id]
            tokens[row, 0] = before[0]
            sizes = stream.parts(start - 1, size) if start else [1, *stream.parts(0, size - 1)]
            documents[row, :size] = np.repeat(np.arange(len(sizes)), sizes)
        mask = torch.from_numpy(documents) if self._document_mask else None
        return MicroBatch(torch.from_numpy(tokens), torch.from_numpy(targets), mask)

    def _place(self, window: int) -> tuple[SourceStream, int]:
        source = int(np.searchsorted(self._ends, window, side="right"))
        first = int(self._ends[source - 1]) if source else 0
        return self._streams[source], (window - first) * self._context
