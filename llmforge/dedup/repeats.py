"""What to cut out of the documents of one shard, read from the sorted tables of step 6 as the shard goes by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llmforge.dedup.tables import CUT, PLACE, Rows, locate, read_ranges

_BLOCK_ROWS = 512  # documents whose cuts are in memory together: about as much as their text


@dataclass(frozen=True)
class Cuts:
    """The passages of one document that others keep (CUT rows), and those that it keeps (PLACE rows), by place."""

    cut: Rows
    kept: Rows


class Repeats:
    """Cuts of a shard by row; rows are asked for in their order."""

    def __init__(self, shard: int, cut_paths: list[Path], kept_paths: list[Path]) -> None:
        """Read the cuts of a shard (its number) from the tables of all ranges of keys."""
        self._shard, self._cut_paths, self._kept_paths = shard, cut_paths, kept_paths
        self._end = 0
        self._cut, self._kept = np.empty(0, dtype=CUT), np.empty(0, dtype=PLACE)

    def of(self, row: int) -> Cuts | None:
        """What to cut out of the document in a row; None if nothing."""
        if not self._cut_paths:
            return None
        if row >= self._end:
            self._load(row)
        location = locate(self._shard, row)
        cut = _at(self._cut, location)
        return Cuts(cut, _at(self._kept, location)) if len(cut) else None

    def _load(self, row: int) -> None:
        self._end = row + _BLOCK_ROWS
        limits = int(locate(self._shard, row)), int(locate(self._shard, self._end))
        self._cut = _sort(read_ranges(self._cut_paths, CUT, *limits, "location"))
        self._kept = _sort(read_ranges(self._kept_paths, PLACE, *limits, "location"))


def _sort(rows: Rows) -> Rows:
    sorted_rows: Rows = rows[np.lexsort([rows["place"], rows["location"]])]
    return sorted_rows


def _at(rows: Rows, location: np.uint64) -> Rows:
    first, last = (np.searchsorted(rows["location"], location, side=side) for side in ("left", "right"))
    found: Rows = rows[first:last]
    return found
