"""Shingles on disk: written for every document when it is signed, read for those that are compared."""

import os
from collections import OrderedDict
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from llmforge.core.files import atomic_writer
from llmforge.dedup.shingles import Shingles, sort_unique
from llmforge.dedup.tables import as_bytes
from llmforge.dedup.words import U64
from llmforge.pipeline.stage import Context, Shard

_CACHE_BYTES = 64 << 20
_OPEN_FILES = 256


class ShingleWriter:
    """Writes the shingles of one shard's documents; the files appear when the block ends without an error."""

    def __init__(self, context: Context, shard: Shard) -> None:
        self._writers = [
            atomic_writer(context.output(f"work/sign/{shard.stem}.{kind}")) for kind in ("shingles", "bounds")
        ]
        self._end = 0

    def __enter__(self) -> "ShingleWriter":
        with ExitStack() as stack:
            self._shingles, self._bounds = (stack.enter_context(writer) for writer in self._writers)
            self._stack = stack.pop_all()
        self._bounds.write(bytes(8))
        return self

    def write(self, shingles: Shingles) -> None:
        """Append the documents of a block."""
        self._shingles.write(as_bytes(shingles.hashes))
        self._bounds.write(as_bytes((shingles.bounds[1:] + self._end).astype(np.uint64)))
        self._end += len(shingles.hashes)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, value, trace)


class ShingleSets:
    """Reads shingle sets by location; the last ones used stay in memory, up to a number of bytes."""

    def __init__(self, folder: Path, max_bytes: int = _CACHE_BYTES) -> None:
        """Read the sets that a `ShingleWriter` wrote into `folder`."""
        self._folder = folder
        self._max_bytes, self._num_bytes = max_bytes, 0
        self._sets: OrderedDict[int, U64] = OrderedDict()
        self._files: OrderedDict[int, _ShardFiles] = OrderedDict()

    def __enter__(self) -> "ShingleSets":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for files in self._files.values():
            files.close()

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
        shard, row = location >> 32, location & 0xFFFFFFFF
        if shard not in self._files:
            if len(self._files) == _OPEN_FILES:
                self._files.popitem(last=False)[1].close()
            self._files[shard] = _ShardFiles(self._folder, shard)
        return sort_unique(self._files[shard].read(row))


class _ShardFiles:
    """The open files of one shard."""

    def __init__(self, folder: Path, shard: int) -> None:
        self._shingles = os.open(folder / f"{shard:05d}.shingles", os.O_RDONLY)
        self._bounds = os.open(folder / f"{shard:05d}.bounds", os.O_RDONLY)

    def read(self, row: int) -> U64:
        """The shingles of a document, as they follow each other in its text."""
        start, end = np.frombuffer(os.pread(self._bounds, 16, 8 * row), dtype=np.uint64).tolist()
        return np.frombuffer(os.pread(self._shingles, 8 * (end - start), 8 * start), dtype=np.uint64)

    def close(self) -> None:
        """Close both files."""
        os.close(self._shingles)
        os.close(self._bounds)
