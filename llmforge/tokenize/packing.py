"""Packing as a plan over the token store: which tokens make up which row. The store itself stays as it is.

Two ways to fill rows of `context + 1` tokens:

    concatenate   documents end to end, cut every `context` tokens; nothing is padded, many documents are broken
    best_fit      a document that fits stays whole; what is left of a row is padding; only longer ones are cut

Pieces of a cut document share one token, so that every token but a document's first is a target once. `rows` reads
the rows of both.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Packing = Literal["concatenate", "best_fit"]

PADDING = -1
"""The document number of a place in a row that no document fills."""


@dataclass(frozen=True)
class PackingPlan:
    """Rows as lists of pieces; row r has the pieces `first_piece[r]` to `first_piece[r + 1]`.

    Attributes:
        row_tokens: room of a row (tokens).
        starts: where each piece begins in the stream of tokens.
        lengths: size of each piece (tokens).
        first_piece: where the pieces of each row begin, and one more entry at the end.
    """

    row_tokens: int
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    first_piece: NDArray[np.int64]

    @property
    def num_rows(self) -> int:
        """Rows (count)."""
        return len(self.first_piece) - 1

    def pieces(self, row: int) -> list[tuple[int, int]]:
        """(start in the stream, tokens) of each piece of a row, in order."""
        chosen = slice(int(self.first_piece[row]), int(self.first_piece[row + 1]))
        return list(zip(self.starts[chosen].tolist(), self.lengths[chosen].tolist(), strict=True))

    def layout(self, row: int) -> NDArray[np.int64]:
        """For each place of a row the number of its piece within the row; `PADDING` where nothing is."""
        lengths = [length for _, length in self.pieces(row)]
        numbers = np.full(self.row_tokens, PADDING, np.int64)
        numbers[: sum(lengths)] = np.repeat(np.arange(len(lengths)), lengths)
        return numbers


@dataclass(frozen=True)
class PackingReport:
    """What a way of packing costs.

    Attributes:
        num_rows: rows (count).
        broken_documents: share of the documents that are spread over several rows (0 to 1).
        padding: share of all places that nothing fills (0 to 1).
    """

    num_rows: int
    broken_documents: float
    padding: float


def pack_best_fit(ends: NDArray[np.int64], context: int) -> PackingPlan:
    """Keep each document that fits whole: longest first, each into the fullest row that has room for it.

    Args:
        ends: for each document the place after its last token in the stream (see `TokenStore.ends`).
        context: tokens of a sequence; a row has one more, for the last target.
    Source: Ding et al. 2024, "Fewer Truncations Improve Language Modeling", section 3; worked out by length instead
        of document by document, which takes time by the number of different lengths.
    """
    starts, lengths = _cut_long_documents(ends, context)
    by_length = np.argsort(-lengths, kind="stable")
    rows = _assign_rows(lengths[by_length], context + 1)
    by_row = by_length[np.argsort(rows, kind="stable")]
    num_rows = int(rows.max()) + 1 if len(rows) else 0
    first_piece = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=num_rows))]).astype(np.int64)
    return PackingPlan(context + 1, starts[by_row], lengths[by_row], first_piece)


def _cut_long_documents(ends: NDArray[np.int64], context: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths of pieces of at most `context + 1` tokens; neighbours of one document share a token."""
    begins = np.concatenate([[0], ends[:-1]])
    sizes = ends - begins
    num_pieces = np.maximum(1, -(-(sizes - 1) // context))
    place = np.arange(num_pieces.sum()) - np.repeat(np.cumsum(num_pieces) - num_pieces, num_pieces)
    starts = np.repeat(begins, num_pieces) + place * context
    return starts, np.minimum(context + 1, np.repeat(ends, num_pieces) - starts)


def _assign_rows(lengths: NDArray[np.int64], row_tokens: int) -> NDArray[np.int64]:
    """The row of each piece, for lengths in descending order; pieces of one length are placed together."""
    assigned = np.empty(len(lengths), np.int64)
    open_rows: dict[int, NDArray[np.int64]] = {}
    spaces: list[int] = []  # the keys of open_rows in ascending order
    num_rows = done = 0

    def reopen(space: int, rows: NDArray[np.int64]) -> None:
        if space == 0 or not len(rows):
            return
        if space not in open_rows:
            insort(spaces, space)
            open_rows[space] = rows
        else:
            open_rows[space] = np.concatenate([open_rows[space], rows])

    while done < len(lengths):
        length = int(lengths[done])
        left = int(np.searchsorted(-lengths, -length, side="right")) - done
        fit = bisect_left(spaces, length)
        if fit < len(spaces):
            space = spaces.pop(fit)
            rows = open_rows.pop(space)
        else:
            space = row_tokens
            rows = np.arange(num_rows, num_rows - (-left // (row_tokens // length)))
            num_rows += len(rows)
        each = space // length
        used = min(len(rows), -(-left // each))
        placed = min(left, used * each)
        assigned[done : done + placed] = np.repeat(rows[:used], each)[:placed]
        last = placed - (used - 1) * each  # the last row may take fewer
        reopen(space - each * length, rows[: used - 1])
        reopen(space - last * length, rows[used - 1 : used])
        reopen(space, rows[used:])
        done += placed
    return assigned


def compare_packings(sources: Sequence[NDArray[np.int64]], context: int) -> dict[Packing, PackingReport]:
    """What each way of packing costs on the same documents.

    Args:
        sources: for each source, and each document in it, the place after its last token; rows hold one source.
        context: tokens of a sequence (count).
    """
    num_documents = max(1, sum(len(ends) for ends in sources))
    costs: dict[Packing, _Cost] = {"concatenate": _concatenation_cost, "best_fit": _best_fit_cost}
    reports: dict[Packing, PackingReport] = {}
    for packing, cost in costs.items():
        rows, broken, padded = np.sum([cost(ends, context) for ends in sources], axis=0).tolist()
        reports[packing] = PackingReport(rows, broken / num_documents, padded / max(1, rows * (context + 1)))
    return reports


_Cost = Callable[[NDArray[np.int64], int], tuple[int, int, int]]
"""Rows, broken documents and padded places (counts)."""


def _concatenation_cost(ends: NDArray[np.int64], context: int) -> tuple[int, int, int]:
    begins = np.concatenate([[0], ends[:-1]])
    # A document is whole if one window, which ends one token after the next one begins, holds all of it.
    is_whole = ends <= (begins // context + 1) * context + 1
    return max(0, int(ends[-1]) - 1) // context, int((~is_whole).sum()), 0


def _best_fit_cost(ends: NDArray[np.int64], context: int) -> tuple[int, int, int]:
    plan = pack_best_fit(ends, context)
    is_long = np.diff(ends, prepend=0) > context + 1
    return plan.num_rows, int(is_long.sum()), plan.num_rows * plan.row_tokens - int(plan.lengths.sum())
