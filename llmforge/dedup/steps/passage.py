"""Step 5, passage: hash the lines or paragraphs of the documents that stay, and write them sorted by key."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xxhash

from llmforge.config.dedup import PassageSection
from llmforge.core.documents import Document
from llmforge.dedup.passages import passage_keys
from llmforge.dedup.ranking import order_key
from llmforge.dedup.source import input_shards, read_batches
from llmforge.dedup.steps.verify import removed_locations
from llmforge.dedup.tables import PASSAGE, Rows, locate, write_table
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard

_RUN_PASSAGES = 1 << 20  # a run is sorted in memory: about 200 MB


class PassageStep:
    """Hashes of passages, where repeated ones are to be cut."""

    name = "passage"

    def plan(self, context: Context) -> Plan:
        """One shard an input file."""
        return Plan(input_shards(context) if context.settings.dedup.passages is not None else ())

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write sorted runs of the passages of a shard's kept documents."""
        removed = set(removed_locations(shard, context).tolist())
        rows: list[tuple[int, ...]] = []
        num_runs = 0
        for document, location in _numbered(shard, context):
            if location in removed:
                continue
            rows += _rows(document, location, context)
            if len(rows) >= _RUN_PASSAGES:
                _write(rows, f"{shard.stem}-{num_runs:05d}", context)
                rows, num_runs = [], num_runs + 1
        _write(rows, f"{shard.stem}-{num_runs:05d}", context)
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        """Nothing to report: repeats are counted where they are cut."""
        return {}


def _numbered(shard: Shard, context: Context) -> Iterator[tuple[Document, int]]:
    row = 0
    for batch in read_batches(shard, context):
        for document in batch:
            yield document, int(locate(shard.index, row))
            row += 1


def _rows(document: Document, location: int, context: Context) -> Iterator[tuple[int, ...]]:
    """PASSAGE rows of one document."""
    settings = context.settings.dedup
    passages = settings.passages
    assert isinstance(passages, PassageSection)  # the plan has no shard without it
    order = order_key(document, settings)
    name = xxhash.xxh3_64_intdigest(document.id.encode("utf-8", "surrogatepass"))
    for place, key, text in passage_keys(document, passages):
        yield key, text, order, name, location, place


def _write(rows: list[tuple[int, ...]], stem: str, context: Context) -> None:
    table: Rows = np.array(rows, dtype=PASSAGE)
    write_table(context.output(f"work/passage/{stem}.passages"), table[np.argsort(table["key"], kind="stable")])
