"""The ids of a shard's documents by row, on disk: one file of ids, one of the places where they begin."""

from array import array
from collections.abc import Iterable
from types import TracebackType

import numpy as np

from llmforge.core.files import atomic_writer
from llmforge.dedup.tables import Rows, shards_and_rows
from llmforge.pipeline.stage import Context, Shard

_PLACE = np.dtype("<u8")


class IdWriter:
    """Writes the ids of one shard; both files appear when the block ends without an error."""

    def __init__(self, context: Context, shard: Shard) -> None:
        self._places_path = context.output(f"work/sign/{shard.stem}.places")
        self._writer = atomic_writer(context.output(f"work/sign/{shard.stem}.ids"))
        self._places = array("Q", [0])

    def __enter__(self) -> "IdWriter":
        self._file = self._writer.__enter__()
        return self

    def write(self, ids: Iterable[str]) -> None:
        """Append ids in the order of the rows."""
        for value in ids:
            encoded = value.encode("utf-8", "surrogatepass")
            self._file.write(encoded)
            self._places.append(self._places[-1] + len(encoded))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, value, trace)
        if kind is None:
            with atomic_writer(self._places_path) as file:
                file.write(self._places.tobytes())


def read_ids(context: Context, locations: Rows) -> list[bytes]:
    """The ids of some documents, in the order asked for."""
    folder = context.scratch("sign")
    found: list[bytes] = [b""] * len(locations)
    shards, rows = shards_and_rows(locations)
    for shard in np.unique(shards).tolist():
        wanted = np.flatnonzero(shards == shard)
        places = np.memmap(folder / f"{shard:05d}.places", dtype=_PLACE, mode="r")
        index = rows[wanted].astype(np.int64)
        spans = zip(wanted.tolist(), places[index].tolist(), places[index + 1].tolist(), strict=True)
        with open(folder / f"{shard:05d}.ids", "rb") as file:
            for place, start, end in spans:
                file.seek(start)
                found[place] = file.read(end - start)
    return found
