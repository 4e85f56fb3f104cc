"""Step 6, repeat: find the passages that stand in several places, a range of keys at a time."""

from itertools import pairwise
from typing import Any

from llmforge.dedup.passages import find_repeats
from llmforge.dedup.steps.band import PARTITION_BYTES
from llmforge.dedup.steps.cluster import tables
from llmforge.dedup.tables import PASSAGE, read_ranges, write_table
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard


class RepeatStep:
    """Which passages to cut out of which documents."""

    name = "repeat"

    def plan(self, context: Context) -> Plan:
        """One shard a range of keys, where passages were hashed."""
        num_bytes = sum(path.stat().st_size for path in tables(context, "passages", "passage"))
        count = -(-num_bytes // PARTITION_BYTES)
        limits = [(index << 64) // count for index in range(count)] + [1 << 64] if count else []
        return Plan(
            tuple(
                Shard(index, f"passages {index + 1} of {count}", {"low": low, "high": high}, num_bytes // count)
                for index, (low, high) in enumerate(pairwise(limits))
            )
        )

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write the cuts of a range of keys, and the places that stay for them, each sorted by location."""
        settings = context.settings.dedup.passages
        assert settings is not None  # the plan has no shard without it
        paths = tables(context, "passages", "passage")
        passages = read_ranges(paths, PASSAGE, shard.work["low"], shard.work["high"], "key")
        cuts, kept = find_repeats(passages, settings.min_occurrences)
        write_table(context.output(f"work/repeat/{shard.stem}.cuts"), cuts)
        write_table(context.output(f"work/repeat/{shard.stem}.kept"), kept)
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        """Nothing to report: repeats are counted where they are cut."""
        return {}
