"""Step 7, filter: write what stays and what goes, shard by shard, and account for every document."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from llmforge.core.documents import Document
from llmforge.core.records import BadRecord
from llmforge.core.shards import LineWriter, shard_writer
from llmforge.dedup.earlier import earlier_shards, write_index
from llmforge.dedup.ids import read_ids
from llmforge.dedup.passages import cut_repeats
from llmforge.dedup.ranking import lacks
from llmforge.dedup.repeats import Cuts, Repeats
from llmforge.dedup.source import first_free, input_shards, origin_of, read_shard
from llmforge.dedup.steps.cluster import tables
from llmforge.dedup.steps.verify import read_decisions, removed_locations
from llmforge.dedup.tables import shards_and_rows
from llmforge.dedup.verify import Method
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard

_RULES = {Method.EXACT: "exact_duplicate", Method.URL: "url_duplicate", Method.NEAR: "near_duplicate"}
_NAMES = {Method.EXACT: "exact", Method.URL: "url", Method.NEAR: "minhash"}


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a document that had a candidate."""

    row: int
    component: str
    cluster_size: int
    method: Method
    similarity: float
    kept_id: str
    kept_shard: int
    kept_in: str | None


class FilterStep:
    """Kept documents with their component and cluster size; removed ones with the twin that stays."""

    name = "filter"

    def plan(self, context: Context) -> Plan:
        """One shard an input file."""
        return Plan(input_shards(context))

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Write `data/`, `removed/` and `quarantine/` of one shard; the latter two only if there is anything."""
        with ExitStack() as files:
            shard_filter = _ShardFilter(shard, context, files)
            fates = _fates(shard, context)
            fate = next(fates, None)
            repeats = Repeats(shard.index, tables(context, "cuts", "repeat"), tables(context, "kept", "repeat"))
            row = 0
            for document in read_shard(shard, context):
                if isinstance(document, BadRecord):
                    shard_filter.quarantine(document)
                    continue
                if fate is not None and fate.row == row:
                    shard_filter.settle(document, fate, repeats.of(row))
                    fate = next(fates, None)
                else:
                    shard_filter.keep(document, document.id, 1, repeats.of(row))
                row += 1
        if context.settings.dedup.keep_index:
            write_index(shard, context, removed_locations(shard, context))
        return shard_filter.counts

    def finish(self, context: Context) -> dict[str, Any]:
        """Nothing beyond the counts."""
        return {}


class _ShardFilter:
    """The output of one shard and its account."""

    def __init__(self, shard: Shard, context: Context, files: ExitStack) -> None:
        self.counts = Counts()
        self._shard, self._context, self._files = shard, context, files
        self._writers: dict[str, LineWriter] = {}
        self._settings = context.settings.dedup
        self._rules = (
            (Method.EXACT, self._settings.exact),
            (Method.URL, self._settings.url),
            (Method.NEAR, self._settings.minhash is not None),
        )
        self._source = ""
        self._writer("data")  # also where nothing stays: every input shard has its output shard

    def keep(self, document: Document, component: str, cluster_size: int, cuts: Cuts | None = None) -> None:
        """A document that stays, without its passages that others keep."""
        self._judge(document)
        bytes_in = document.num_bytes
        if cuts is not None:
            self._cut(document, cuts)
        self.counts.keep(document.source, bytes_in, document.num_bytes)
        document.meta["dedup"] = {"component": component, "cluster_size": cluster_size}
        self._writer("data").write(document)

    def settle(self, document: Document, fate: Fate, cuts: Cuts | None = None) -> None:
        """A document that had a candidate: it stays, or goes for another."""
        if fate.method == Method.KEPT:
            self.keep(document, fate.component, fate.cluster_size, cuts)
            return
        self._judge(document, fate.method)
        self.counts.drop(document.source, _RULES[fate.method], document.num_bytes)
        self._writer("removed").write(
            {
                "id": document.id,
                "kept_id": fate.kept_id,
                "kept_shard": fate.kept_shard,
                "kept_in": fate.kept_in,
                "method": _NAMES[fate.method],
                "similarity": fate.similarity,
                "component": fate.component,
                "source": document.source,
                "url": document.url,
                "text": document.text,
                "meta": document.meta,
            }
        )

    def _cut(self, document: Document, cuts: Cuts) -> None:
        """Cut passages out, unless nothing would be left: a document is never emptied."""
        passages = self._settings.passages
        assert passages is not None  # there are no cuts without it
        text, pieces = cut_repeats(document.text, passages, cuts.cut, cuts.kept)
        if not pieces:  # all that it repeats it also keeps for others
            return
        if not text.strip():
            self.counts.measures["documents_of_repeats_only"] += 1
            return
        rule = f"repeated_{passages.unit}s"
        self.counts.measures[f"edited_by_{rule}"] += 1
        self.counts.measures[rule] += len(pieces)
        ids = read_ids(self._context, np.array([piece.keeper for piece in pieces], dtype=np.uint64))
        cut = [
            {"text": piece.text, "kept_id": kept_id.decode("utf-8", "surrogatepass")}
            for piece, kept_id in zip(pieces, ids, strict=True)
        ]
        self._writer("cut").write({"id": document.id, "passages": cut})
        document.text = text

    def quarantine(self, bad: BadRecord) -> None:
        """A record that could not be read: it counts for the source of the document before it, or of its file."""
        file_source, locator = origin_of(self._shard, self._context)
        source = self._source or file_source
        self.counts.quarantine(source, bad.error, bad.num_bytes)
        self._writer("quarantine").write({"source": source, "locator": locator, **asdict(bad)})

    def _judge(self, document: Document, method: Method = Method.KEPT) -> None:
        """Count the rules that looked at a document: what one rule removed, the next does not see."""
        self._source = document.source
        if self._settings.passages is not None and method == Method.KEPT:
            self.counts.judge(f"repeated_{self._settings.passages.unit}s", document.source)
        for rule, is_on in self._rules:
            if is_on:
                self.counts.judge(_RULES[rule], document.source)
            if rule == method:
                break
        for criterion in self._settings.keep:
            if lacks(document, criterion):
                self.counts.measures[f"without_{criterion}"] += 1

    def _writer(self, kind: str) -> LineWriter:
        """The writer of one kind of output, opened when it is first needed."""
        if kind not in self._writers:
            path = self._context.output(f"{kind}/{self._shard.stem}.jsonl.zst")
            self._writers[kind] = self._files.enter_context(shard_writer(path))
        return self._writers[kind]


def _fates(shard: Shard, context: Context) -> Iterator[Fate]:
    """What becomes of the documents of a shard that had candidates, in the order of the rows."""
    decisions = read_decisions(shard, context)
    shards = input_shards(context)
    earlier = {one.index: one.work for one in earlier_shards(context, first_free(shards))}
    _, rows = shards_and_rows(decisions["location"])
    kept_shards, _ = shards_and_rows(decisions["keeper"])
    kept_ids = read_ids(context, decisions["keeper"])
    components = read_ids(context, decisions["component"])
    for index, decision in enumerate(decisions):
        kept_shard = int(kept_shards[index])
        yield Fate(
            row=int(rows[index]),
            component=components[index].decode("utf-8", "surrogatepass"),
            cluster_size=int(decision["cluster_size"]),
            method=Method(decision["method"]),
            similarity=float(decision["similarity"]),
            kept_id=kept_ids[index].decode("utf-8", "surrogatepass"),
            kept_shard=int(earlier[kept_shard]["stem"]) if kept_shard in earlier else kept_shard,
            kept_in=earlier[kept_shard]["earlier"] if kept_shard in earlier else None,
        )
