"""What one shard writes, and its account: every item that comes in goes to exactly one place.

    data/00012.jsonl.zst         documents that stay
    dropped/00012.jsonl.zst      the document, the rule, what was measured and what would have been allowed
    quarantine/00012.jsonl.zst   the error, where the record stands, its hash and its first bytes
    measures/00012.jsonl.zst     what every rule measured, of all documents (see `measures`)

In every record that is not kept stands why.
"""

from contextlib import ExitStack
from dataclasses import asdict
from types import TracebackType

import orjson

from llmforge.core.shards import shard_writer
from llmforge.curate.judging import Judgement
from llmforge.curate.measures import MeasuresWriter
from llmforge.curate.readers.items import BadItem, RawDocument
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Shard


class ShardOutputs:
    """The files of a shard, open together; they appear when the block ends without an error."""

    def __init__(self, context: Context, shard: Shard, source: str) -> None:
        self.counts = Counts()
        self._source = source
        self._files = ExitStack()
        self._data, self._dropped, self._quarantine, measures = (
            self._files.enter_context(shard_writer(context.output(f"{folder}/{shard.stem}.jsonl.zst")))
            for folder in ("data", "dropped", "quarantine", "measures")
        )
        self._measures = MeasuresWriter(measures, source)

    def __enter__(self) -> "ShardOutputs":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._measures.flush()
        self._files.__exit__(kind, value, trace)

    def write(self, raw: RawDocument, judgement: Judgement) -> None:
        """The document stays, or a rule drops it; either way its measures are kept."""
        self._measures.write(raw, judgement)
        if judgement.verdict is None:
            self.counts.keep(self._source, raw.num_bytes, raw.document.num_bytes)
            self._data.write(raw.document)
        else:
            self.counts.drop(self._source, judgement.verdict.rule, raw.num_bytes)
            self._dropped.write({**orjson.loads(raw.document.to_json()), **asdict(judgement.verdict)})

    def merge(self, num_bytes: int) -> None:
        """The record is part of another document."""
        self.counts.merge(self._source, num_bytes)

    def quarantine(self, item: BadItem) -> None:
        """The record cannot be read or processed."""
        record = item.record
        self.counts.quarantine(self._source, record.error, record.num_bytes)
        line = {**asdict(record), "source": self._source, "locator": item.locator, "reproducible": item.is_reproducible}
        self._quarantine.write(line)
