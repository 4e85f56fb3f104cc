"""The dedup stage on one page: copies are found by hashing, proved by comparing, and one of them stays.

    1 sign     document -> hash of its text; shingles -> MinHash signature -> band keys     sorted runs
    2 band     equal text hash -> copies; equal band key -> candidate pairs                 by range of keys
    3 cluster  pairs -> candidate components (union-find)                                   one process
    4 verify   in the order of who stays: go only if similar enough to one that stays       by component
    5 passage  lines, paragraphs or windows of tokens of what stays -> hashes               sorted runs, if asked for
    6 repeat   equal hash -> the passage is cut out of all documents but the first          by range of keys
    7 filter   data/ with component and cluster size, removed/ with the twin that stays     by input shard

dedup/
  data/00012.jsonl.zst        kept documents of input shard 12; meta.dedup = {component, cluster_size}
  removed/00012.jsonl.zst     id, kept_id, kept_shard, method, similarity, component, and the document itself
  cut/00012.jsonl.zst         id, and the passages that were cut out, each with the document that keeps it
  index/                      what a later batch is held against, with `keep_index`
  quarantine/00012.jsonl.zst  records of `--data` that cannot be read
  work/                       the intermediates, removed when the stage is complete

Clusters come before verification because a document is compared only with documents that stay, and these are
known only once all better candidates have been judged. A component is judged by one process; it holds 50 bytes a
document and 16 a pair of it in memory, and the shingle sets of the last documents. Step 3 holds 16 bytes for each
document that has a candidate. Everything else is bounded by the size of a partition.
"""

from pathlib import Path

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, SettingsError
from llmforge.dedup import source
from llmforge.dedup.steps.band import BandStep
from llmforge.dedup.steps.cluster import ClusterStep
from llmforge.dedup.steps.filter import FilterStep
from llmforge.dedup.steps.passage import PassageStep
from llmforge.dedup.steps.repeat import RepeatStep
from llmforge.dedup.steps.sign import SignStep
from llmforge.dedup.steps.verify import VerifyStep
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.inputs import Inputs
from llmforge.pipeline.stage import Step
from llmforge.pipeline.warnings import check_bad_fraction, rule_warnings

_GUARDED_DOCUMENTS = 20  # of a smaller source a large share is soon gone


class DedupStage:
    """Exact and near-duplicates across all documents of a run."""

    name = "dedup"
    section = "dedup"
    version = 2
    packages = ("orjson", "xxhash", "zstandard")
    steps: tuple[Step, ...] = (
        SignStep(),
        BandStep(),
        ClusterStep(),
        VerifyStep(),
        PassageStep(),
        RepeatStep(),
        FilterStep(),
    )

    def find_inputs(self, settings: Settings, run_folder: Path) -> Inputs:
        """Curate's artifact, or the files of `dedup.data`.

        Raises: SettingsError if nothing is to be looked for; InputError if the input is missing.
        """
        dedup = settings.dedup
        if not (dedup.exact or dedup.url or dedup.minhash or dedup.passages):
            raise SettingsError(
                "dedup.exact and dedup.url are false, minhash and passages are null: dedup would do nothing",
                "switch one of them on",
            )
        return source.find_inputs(settings, run_folder)

    def review(self, settings: Settings, counts: Counts) -> list[str]:
        """Rules that never fired, and criteria that no document meets.

        Raises: InputError if too many records are bad, or a source would lose more than its share.
        """
        check_bad_fraction(counts, settings.dedup.max_bad_fraction)
        _check_drop_share(counts, settings.dedup.max_drop_share)
        lines = rule_warnings(counts, max_drop_share=1.0)
        total = counts.total.documents
        for criterion in settings.dedup.keep:
            if total.came_in and counts.measures[f"without_{criterion}"] == total.came_in - total.num_quarantined:
                lines.append(f"dedup.keep names {criterion!r}, but no document has meta.{criterion}")
        return lines


def _check_drop_share(counts: Counts, max_drop_share: float) -> None:
    for name, account in sorted(counts.by_source.items()):
        flow = account.documents
        if flow.came_in >= _GUARDED_DOCUMENTS and flow.num_dropped > max_drop_share * flow.came_in:
            raise InputError(
                f"dedup would remove {flow.num_dropped:,} of the {flow.came_in:,} documents of {name!r}, "
                f"more than dedup.max_drop_share {max_drop_share:g}",
                "look at removed/ in the partial folder; if this is right, go on with --set dedup.max_drop_share=1",
            )


DEDUP = DedupStage()
