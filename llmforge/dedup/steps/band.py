"""Step 2, band: bring together what has the same key, a range of keys at a time, and pair it."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from llmforge.dedup.earlier import RECORDS
from llmforge.dedup.exact import pair_copies
from llmforge.dedup.lsh import candidate_pairs
from llmforge.dedup.tables import NODE, RECORD, Rows, read_ranges, write_table
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.records import read_records, sum_counts
from llmforge.pipeline.stage import Context, Plan, Shard

PARTITION_BYTES = 64 << 20  # keys are hashes, so equal ranges of them hold equal shares of the records


class BandStep:
    """Pairs of equal texts, of equal URLs, and of documents with a band in common."""

    name = "band"

    def plan(self, context: Context) -> Plan:
        """One shard a range of keys; how many follows from the size of the records alone."""
        num_bytes = sum(path.stat().st_size for kind in RECORDS for path in runs(context, kind))
        count = -(-num_bytes // PARTITION_BYTES)
        limits = [(index << 64) // count for index in range(count)] + [1 << 64] if count else []
        return Plan(
            tuple(
                Shard(index, f"keys {index + 1} of {count}", {"low": low, "high": high}, num_bytes // count)
                for index, (low, high) in enumerate(pairwise(limits))
            )
        )

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write the pairs of a range of keys, and the documents that are in one."""
        low, high, counts = shard.work["low"], shard.work["high"], Counts()
        texts, urls, bands = (read_ranges(runs(context, kind), RECORD, low, high, "key") for kind in RECORDS)
        exact, copied = pair_copies(texts)
        same_url, fetched_twice = pair_copies(urls)
        near, alike, num_skipped = candidate_pairs(bands)
        for kind, rows in (("exact", exact), ("urls", same_url), ("near", near)):
            write_table(context.output(f"work/band/{shard.stem}.{kind}"), rows)
        write_table(context.output(f"work/band/{shard.stem}.nodes"), _nodes([copied, fetched_twice, alike]))
        counts.measures["pairs_left_out"] = num_skipped
        return counts

    def finish(self, context: Context) -> dict[str, Any]:
        """How many pairs were left out of large buckets."""
        counts = sum_counts(read_records(context.scratch(self.name) / "records"))
        return {"pairs_left_out": counts.measures["pairs_left_out"]}


def runs(context: Context, kind: str) -> list[Path]:
    """The sorted runs that step 1 wrote."""
    return sorted(context.scratch("sign").glob(f"*.{kind}"))


def _nodes(records: Iterable[Rows]) -> Rows:
    """The documents of some records, each once, sorted by location."""
    rows = np.concatenate(list(records))
    _, index = np.unique(rows["location"], return_index=True)
    nodes = np.zeros(len(index), dtype=NODE)
    for name in ("location", "order", "name"):
        nodes[name] = rows[name][index]
    return nodes
