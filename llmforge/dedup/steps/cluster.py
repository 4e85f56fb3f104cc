"""Step 3, cluster: find the candidate components, and deal them out, each whole, to the shards of step 5."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core.files import atomic_writer
from llmforge.dedup.clusters import Components, unique_locations
from llmforge.dedup.tables import NODE, PAIR, Rows, as_bytes, stream_table
from llmforge.dedup.words import mix
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard

_PAIRS = ("exact", "urls", "near")
PARTITION_NODES = 200_000


class ClusterStep:
    """Candidate components by union-find: the one step that is one process, over small rows only."""

    name = "cluster"

    def plan(self, context: Context) -> Plan:
        """One shard, if any document has a candidate."""
        num_bytes = sum(path.stat().st_size for path in tables(context, "nodes"))
        return Plan((Shard(0, "components", {}, num_bytes),) if num_bytes else ())

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Link all pairs, and write nodes and pairs by the partition of their component."""
        counts = Counts()
        components = Components(unique_locations(rows["location"] for rows in _stream(context, "nodes", NODE)))
        for kind in _PAIRS:
            for pairs in _stream(context, kind, PAIR):
                components.link(pairs)
        num_partitions = -(-len(components.locations) // PARTITION_NODES)
        for kind in _PAIRS:
            _deal(context, kind, PAIR, "second", components, num_partitions)
        _deal(context, "nodes", NODE, "location", components, num_partitions)
        counts.measures["documents_with_candidates"] = len(components.locations)
        return counts

    def finish(self, context: Context) -> dict[str, Any]:
        """Nothing to report: the components are counted where they are judged."""
        return {}


def tables(context: Context, kind: str, step: str = "band") -> list[Path]:
    """The tables of one kind that a step wrote."""
    return sorted(context.scratch(step).glob(f"*.{kind}"))


def _stream(context: Context, kind: str, dtype: np.dtype[Any]) -> Iterator[Rows]:
    for path in tables(context, kind):
        yield from stream_table(path, dtype)


def _deal(
    context: Context, kind: str, dtype: np.dtype[Any], column: str, components: Components, num_partitions: int
) -> None:
    """Write the rows of one kind into the file of their component's partition."""
    with ExitStack() as stack:
        files = [
            stack.enter_context(atomic_writer(context.output(f"work/cluster/{index:05d}.{kind}")))
            for index in range(num_partitions)
        ]
        for rows in _stream(context, kind, dtype):
            component = components.of(rows[column])
            if kind == "nodes":
                rows["component"] = component
            partition = _partition(component, num_partitions)
            order = np.argsort(partition, kind="stable")
            limits = np.searchsorted(partition[order], np.arange(num_partitions + 1))
            for file, first, last in zip(files, limits[:-1], limits[1:], strict=True):
                file.write(as_bytes(rows[order[first:last]]))


def _partition(component: NDArray[np.uint64], num_partitions: int) -> NDArray[np.uint64]:
    return mix(component) % np.uint64(num_partitions)
