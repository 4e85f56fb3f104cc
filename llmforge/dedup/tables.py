"""The intermediate files of dedup: flat binary tables, sorted where a later step reads a range of them.

`location` is where a document stands: the number of its shard above 32 bits, its row in the shard below. It
orders nothing that reaches the output, so that the same documents in other shards give the same answer.
"""

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core.files import atomic_writer

Rows = NDArray[Any]

# A document under one key: the hash of its whole text, or of one band of its signature. `text` tells copies of
# one text from other documents under the same key; (order, name) says which of two documents stays.
RECORD = np.dtype([("key", "<u8"), ("text", "<u8"), ("order", "<u8"), ("name", "<u8"), ("location", "<u8")])
# Two documents, by location; the first is the one to keep if they are copies.
PAIR = np.dtype([("first", "<u8"), ("second", "<u8")])
# A document that is in some pair; `component` is a location too, the same for all members.
NODE = np.dtype([("location", "<u8"), ("order", "<u8"), ("name", "<u8"), ("component", "<u8")])
# What becomes of a document: `keeper` is its own location if it stays; `component` is the location of the member
# of its candidate component with the smallest id.
DECISION = np.dtype(
    [
        ("location", "<u8"),
        ("keeper", "<u8"),
        ("component", "<u8"),
        ("similarity", "<f8"),
        ("cluster_size", "<u8"),
        ("method", "<u8"),
    ]
)

# A line or paragraph under the hash of its text; `place` counts the passages of its document.
PASSAGE = np.dtype([*RECORD.descr, ("place", "<u8")])
# A passage to cut out; the document that keeps it, and its place there.
CUT = np.dtype([("location", "<u8"), ("place", "<u8"), ("first", "<u8"), ("first_place", "<u8")])
# A window of tokens that its document keeps, because it stands in other places too.
PLACE = np.dtype([("location", "<u8"), ("place", "<u8")])
EARLIER = 0  # `order` of a document of an earlier artifact; those of this one have larger ones

_ROW_BITS = 32
_STREAM_ROWS = 1 << 20


def locate(shard: int, rows: Any) -> Any:
    """Locations of rows of a shard."""
    return np.uint64(shard << _ROW_BITS) | np.asarray(rows, dtype=np.uint64)


def shards_and_rows(locations: Rows) -> tuple[Rows, Rows]:
    """Shard numbers and rows of locations."""
    return locations >> np.uint64(_ROW_BITS), locations & np.uint64((1 << _ROW_BITS) - 1)


def shard_range(shard: int) -> tuple[int, int]:
    """The locations of a shard: from the first, up to and without the second."""
    return shard << _ROW_BITS, (shard + 1) << _ROW_BITS


def write_table(path: Path, rows: Rows) -> None:
    """Write a table, whole or not at all."""
    with atomic_writer(path) as file:
        file.write(as_bytes(rows))


def as_bytes(rows: Rows) -> memoryview:
    """The bytes of a table, not copied where they lie together."""
    return np.ascontiguousarray(rows).view(np.uint8).data


def read_table(path: Path, dtype: np.dtype[Any], first: int = 0, count: int = -1) -> Rows:
    """Rows of a table, from row `first`."""
    return np.fromfile(path, dtype=dtype, count=count, offset=first * dtype.itemsize)


def stream_table(path: Path, dtype: np.dtype[Any]) -> Iterator[Rows]:
    """A table in pieces."""
    for first in range(0, path.stat().st_size // dtype.itemsize, _STREAM_ROWS):
        yield read_table(path, dtype, first, _STREAM_ROWS)


def read_range(path: Path, dtype: np.dtype[Any], low: int, high: int, column: str | None = None) -> Rows:
    """The rows of a sorted table whose `column` is in [low, high)."""
    if path.stat().st_size == 0:
        return np.empty(0, dtype=dtype)
    table = np.memmap(path, dtype=dtype, mode="r")
    values: Any = table if column is None else table[column]
    first = bisect_left(values, low)
    last = bisect_left(values, high, lo=first)
    return read_table(path, dtype, first, last - first)


def read_ranges(paths: list[Path], dtype: np.dtype[Any], low: int, high: int, column: str | None = None) -> Rows:
    """The rows of several sorted tables whose `column` is in [low, high), one table after the other."""
    return np.concatenate([np.empty(0, dtype=dtype), *(read_range(path, dtype, low, high, column) for path in paths)])
