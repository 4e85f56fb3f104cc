"""Rows of one source as training reads them: tokens, the tokens that follow, and the document that each belongs to.

SourceStream       the shards of a source end to end, and where its documents end
ConcatenatedRows   documents end to end, cut every `context` tokens; all tokens but a few of the last are drawn
BestFitRows        the rows of a best-fit plan (see `packing`): what nothing fills has no target
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmforge.tokenize.packing import PADDING, Packing, pack_best_fit
from llmforge.tokenize.token_store import DocumentSpan, TokenStore

Piece = tuple[int, int]
"""A range of a stream: its first token and its size (tokens)."""


class SourceStream:
    """The tokens of one source, its shards end to end."""

    def __init__(self, store: TokenStore, name: str) -> None:
        self.name = name
        self._store = store
        self._shards = [number for number, shard in enumerate(store.shards) if shard.source == name]
        self._shard_ends = np.cumsum([store.shards[number].num_tokens for number in self._shards], dtype=np.int64)

    @property
    def num_tokens(self) -> int:
        """Tokens of the source (count)."""
        return int(self._shard_ends[-1])

    def read(self, start: int, length: int) -> NDArray[np.int64]:
        """Tokens `start` to `start + length` of the stream."""
        return np.concatenate([self._store.read(*piece) for piece in self._pieces(start, length)])

    def ends(self) -> NDArray[np.int64]:
        """For each document the place after its last token in the stream."""
        firsts = [0, *self._shard_ends[:-1].tolist()]
        return np.concatenate(
            [first + self._store.ends(shard) for first, shard in zip(firsts, self._shards, strict=True)]
        )

    def parts(self, start: int, length: int) -> NDArray[np.int64]:
        """How many of these tokens each of their documents has, in order; a shard ends with a document."""
        pieces = [self._store.parts(*piece) for piece in self._pieces(start, length)]
        return np.concatenate([np.zeros(0, np.int64), *pieces])

    def documents(self, start: int, length: int) -> list[DocumentSpan]:
        """The documents that own these tokens, in order."""
        return [span for piece in self._pieces(start, length) for span in self._store.documents(*piece)]

    def _pieces(self, start: int, length: int) -> Iterator[tuple[int, int, int]]:
        """(shard, start within it, length) of each shard that the range touches."""
        place = int(np.searchsorted(self._shard_ends, start, side="right"))
        while length > 0:
            first = int(self._shard_ends[place - 1]) if place else 0
            taken = min(length, int(self._shard_ends[place]) - start)
            yield self._shards[place], start - first, taken
            start, length, place = start + taken, length - taken, place + 1


def open_streams(store: TokenStore) -> list[SourceStream]:
    """One stream a source, by name."""
    return [SourceStream(store, name) for name in sorted({shard.source for shard in store.shards})]


@dataclass(frozen=True)
class Row:
    """One row for training, each field of `context` values.

    Attributes:
        tokens: what the model reads; the end-of-document token where nothing is.
        targets: the token after each one.
        is_target: whether that one can be learned: it goes on with the document, or it is the first of a document
            that stands behind the end of another.
        documents: the number of each token's document within the row; `PADDING` where nothing is. Attention under a
            document mask stays within equal numbers. None where nobody asked.
    """

    tokens: NDArray[np.int64]
    targets: NDArray[np.int64]
    is_target: NDArray[np.bool_]
    documents: NDArray[np.int64] | None


class Rows(Protocol):
    """The rows of one source.

    Attributes:
        stream: what they are made of.
        num_rows: how many there are (count).
    """

    stream: SourceStream
    num_rows: int

    def pieces(self, number: int) -> list[Piece]:
        """The ranges of the stream that a row consists of, in order."""

    def row(self, number: int, *, with_documents: bool = True) -> Row:
        """A row, read from the store; finding out its documents takes as long as reading it."""


class ConcatenatedRows:
    """Windows of `context + 1` tokens; neighbours share one, so that every token but the first is a target once.

    Tokens that fill no window at the stream's end are not drawn.
    """

    def __init__(self, stream: SourceStream, context: int) -> None:
        self.stream, self._context = stream, context
        self.num_rows = max(0, stream.num_tokens - 1) // context

    def pieces(self, number: int) -> list[Piece]:
        """See `Rows`."""
        return [(number * self._context, self._context + 1)]

    def row(self, number: int, *, with_documents: bool = True) -> Row:
        """See `Rows`."""
        ((start, length),) = self.pieces(number)
        tokens, documents = self.stream.read(start, length), None
        if with_documents:
            sizes = self.stream.parts(start, length)
            documents = np.repeat(np.arange(len(sizes)), sizes)[:-1]
        return Row(tokens[:-1], tokens[1:], np.ones(self._context, np.bool_), documents)


class BestFitRows:
    """The rows of a best-fit plan over one source, read as they are asked for.

    Over all rows every token is a target once, but for the first one of a row and of each document that stands
    beside a part of a cut one. The plan takes about 40 bytes a document, in memory.

    Args:
        stream: the source.
        context: tokens of a sequence (count).
        eos_id: the token that padding is made of.
    """

    def __init__(self, stream: SourceStream, context: int, eos_id: int) -> None:
        self.stream, self._eos_id = stream, eos_id
        self._ends = stream.ends()
        self._plan = pack_best_fit(self._ends, context)
        self.num_rows = self._plan.num_rows

    def pieces(self, number: int) -> list[Piece]:
        """See `Rows`."""
        return self._plan.pieces(number)

    def row(self, number: int, *, with_documents: bool = True) -> Row:
        """See `Rows`."""
        pieces, documents = self.pieces(number), self._plan.layout(number)
        tokens = np.full(len(documents), self._eos_id, np.int64)
        tokens[documents != PADDING] = np.concatenate([self.stream.read(*piece) for piece in pieces])
        is_target = (documents[1:] == documents[:-1]) & (documents[1:] != PADDING)
        starts, sizes = np.array(pieces).T
        seams = np.cumsum(sizes)[:-1] - 1
        is_target[seams] = self._are_borders(starts[:-1] + sizes[:-1]) & self._are_borders(starts[1:])
        return Row(tokens[:-1], tokens[1:], is_target, documents[:-1])

    def _are_borders(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether a document begins, or one ends, at each place of the stream."""
        borders: NDArray[np.bool_] = (places == 0) | (self._ends[np.searchsorted(self._ends, places)] == places)
        return borders


def pack_rows(stream: SourceStream, packing: Packing, context: int, eos_id: int) -> Rows:
    """The rows of a source by a way of packing."""
    if packing == "best_fit":
        return BestFitRows(stream, context, eos_id)
    return ConcatenatedRows(stream, context)
