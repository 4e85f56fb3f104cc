"""Shingle sets of the documents that are compared, read from disk as they are needed."""

import os
from collections import OrderedDict
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from llmforge.dedup.shingles import U64
from llmforge.dedup.tables import SPAN, Rows, read_table, shards_and_rows

_CACHE_BYTES = 64 << 20
_OPEN_FILES = 256


class ShingleSets:
    """Reads shingle sets by location; the last ones used stay in memory, up to a number of bytes."""

    def __init__(self, folder: Path, locations: NDArray[np.uint64], max_bytes: int = _CACHE_BYTES) -> None:
        """Find where the sets of the documents at `locations` (sorted) lie below `folder`."""
        self._folder = folder
        self._locations = locations
        self._spans = np.concatenate([np.empty(0, dtype=SPAN), *self._find()])
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._sets: OrderedDict[int, U64] = OrderedDict()
        self._files: OrderedDict[int, int] = OrderedDict()

    def _find(self) -> list[Rows]:
        shards, _ = shards_and_rows(self._locations)
        found = []
        for shard in np.unique(shards).tolist():
            spans = read_table(self._folder / f"{shard:05d}.spans", SPAN)
            found.append(spans[np.searchsorted(spans["location"], self._locations[shards == shard])])
        return found

    def __enter__(self) -> "ShingleSets":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._files.values():
            os.close(descriptor)

    def of(self, location: int) -> U64:
        """The shingle set of a document (sorted hashes)."""
        if location in self._sets:
            self._sets.move_to_end(location)
            return self._sets[location]
        shingles = self._sets[location] = self._read(location)
        self._num_bytes += shingles.nbytes
        while self._num_bytes > self._max_bytes and len(self._sets) > 1:
            _, oldest = self._sets.popitem(last=False)
            self._num_bytes -= oldest.nbytes
        return shingles

    def _read(self, location: int) -> U64:
        span = self._spans[self._locations.searchsorted(np.uint64(location))]
        size = 8 * int(span["count"])
        data = os.pread(self._open(location >> 32), size, 8 * int(span["start"]))
        return np.frombuffer(data, dtype=np.uint64)

    def _open(self, shard: int) -> int:
        if shard not in self._files:
            if len(self._files) == _OPEN_FILES:
                os.close(self._files.popitem(last=False)[1])
            self._files[shard] = os.open(self._folder / f"{shard:05d}.shingles", os.O_RDONLY)
        return self._files[shard]
