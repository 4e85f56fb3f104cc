"""Step 4, shingle: the shingle sets of the documents that have candidates, for the comparison in step 5."""

from typing import Any

import numpy as np

from llmforge.core.files import atomic_writer
from llmforge.dedup.exact import normalise
from llmforge.dedup.shingles import shingle
from llmforge.dedup.source import input_shards, read_batches
from llmforge.dedup.tables import (
    LOCATION,
    SPAN,
    Rows,
    as_bytes,
    read_range,
    shard_range,
    shards_and_rows,
    write_table,
)
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard


class ShingleStep:
    """Shingle sets on disk, of candidates only: the text of the others is not read into words again."""

    name = "shingle"

    def plan(self, context: Context) -> Plan:
        """One shard an input file that holds candidates."""
        if context.settings.dedup.minhash is None:
            return Plan(())
        return Plan(tuple(shard for shard in input_shards(context) if len(_candidates(shard, context))))

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write the shingle sets of the shard's candidates, and where each of them lies."""
        minhash = context.settings.dedup.minhash
        assert minhash is not None  # the plan has no shard without it
        candidates = _candidates(shard, context)
        counts = np.empty(len(candidates), dtype=np.uint64)
        place = 0
        with atomic_writer(context.output(f"work/shingle/{shard.stem}.shingles")) as file:
            rows = set(shards_and_rows(candidates)[1].tolist())
            for batch in read_batches(shard, context, rows):
                shingles = shingle([normalise(document.text) for document in batch], minhash.ngram_words)
                for index in range(len(batch)):
                    unique = shingles.unique(index)
                    file.write(as_bytes(unique))
                    counts[place] = len(unique)
                    place += 1
        spans = np.empty(len(candidates), dtype=SPAN)
        spans["location"], spans["count"] = candidates, counts
        spans["start"] = np.cumsum(counts) - counts
        write_table(context.output(f"work/shingle/{shard.stem}.spans"), spans)
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        """Nothing to report."""
        return {}


def _candidates(shard: Shard, context: Context) -> Rows:
    """Locations of the documents of a shard that are in a candidate pair."""
    path = context.scratch("cluster") / "near.locations"
    return read_range(path, LOCATION, *shard_range(shard.index)) if path.exists() else np.empty(0, dtype=LOCATION)
