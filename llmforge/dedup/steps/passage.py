"""Step 5, passage: hash the lines, paragraphs or windows of tokens of what stays, and write them sorted by key."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xxhash

from llmforge.config.dedup import PassageSection
from llmforge.core.documents import Document
from llmforge.dedup.passages import passage_rows
from llmforge.dedup.ranking import order_key
from llmforge.dedup.source import input_shards, read_batches
from llmforge.dedup.steps.verify import removed_locations
from llmforge.dedup.tables import PASSAGE, Rows, locate, write_table
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard

RUN_PASSAGES = 1 << 20  # a run is sorted in memory: about 200 MB


class PassageStep:
    """Hashes of passages, where repeated ones are to be cut."""

    name = "passage"

    def plan(self, context: Context) -> Plan:
        """One shard an input file."""
        return Plan(input_shards(context) if context.settings.dedup.passages is not None else ())

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write sorted runs of the passages of a shard's kept documents."""
        removed = set(removed_locations(shard, context).tolist())
        parts: list[Rows] = []
        num_passages, num_runs = 0, 0
        for document, location in _numbered(shard, context):
            if location in removed:
                continue
            parts.append(_rows(document, location, context))
            num_passages += len(parts[-1])
            if num_passages >= RUN_PASSAGES:
                _write(parts, f"{shard.stem}-{num_runs:05d}", context)
                parts, num_passages, num_runs = [], 0, num_runs + 1
        _write(parts, f"{shard.stem}-{num_runs:05d}", context)
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


def _rows(document: Document, location: int, context: Context) -> Rows:
    """PASSAGE rows of one document."""
    settings = context.settings.dedup
    passages = settings.passages
    assert isinstance(passages, PassageSection)  # the plan has no shard without it
    rows = passage_rows(document, passages)
    rows["order"] = order_key(document, settings)
    rows["name"] = xxhash.xxh3_64_intdigest(document.id.encode("utf-8", "surrogatepass"))
    rows["location"] = location
    return rows


def _write(parts: list[Rows], stem: str, context: Context) -> None:
    table: Rows = np.concatenate([np.empty(0, dtype=PASSAGE), *parts])
    write_table(context.output(f"work/passage/{stem}.passages"), table[np.argsort(table["key"], kind="stable")])
