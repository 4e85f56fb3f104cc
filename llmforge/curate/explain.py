"""One document before every rule: each measured value with its limit, what offends, and what edits take out."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmforge.config.curate import SourceSection
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.curate.extract import extract_page, shared_extractor
from llmforge.curate.judging import Judgement, choose_rules, judge
from llmforge.curate.measures import find_shard
from llmforge.curate.readers.items import BadItem, Item, RawDocument
from llmforge.curate.reading import read_shard
from llmforge.curate.remote import is_url, local_path
from llmforge.curate.sources import find_inputs, name_sources, plan_shards
from llmforge.pipeline.document_files import before_magic
from llmforge.pipeline.stage import Context, Shard

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Explained:
    """A document with its text as it was read, and what the rules found in it."""

    raw: RawDocument
    text: str
    kind: str
    judgement: Judgement


def explain(settings: Settings, target: str) -> Explained:
    """Judge one document by the rules of the settings.

    Args:
        settings: of the whole run.
        target: the id of a document of the run, kept or dropped; or a file, for its first document, with `#3` for its
            third record: what follows the mark is the name that a record has in every output.
    Raises: InputError if there is no such document, or it cannot be read.
    """
    if _ID.fullmatch(target) and not Path(target).exists():
        place = find_shard(settings.run_folder / "curate", target)
        context = _context(settings)
        shard = plan_shards(settings.curate, context.inputs)[place]
        items = (item for item in _read(shard, context) if _is_sought(item, target))
    else:
        path, _, name = target.partition("#")
        context, shard = _find_file(settings, path)
        every = (item for item in _read(shard, context) if isinstance(item, RawDocument | BadItem))
        items = (item for place, item in enumerate(every, 1) if not name or _name_in_file(item, place) == name)
    item = next(items, None)
    if item is None:
        raise InputError(f"{target}: no such document", "name a file, FILE#3 for its third record, or an id")
    if isinstance(item, BadItem):
        record = item.record
        raise InputError(f"{target}: quarantined, {record.error} at byte {record.offset:,}: {record.sample[:80]}")
    assert isinstance(item, RawDocument)
    text, kind = item.document.text, shard.work["kind"]
    return Explained(item, text, kind, judge(item, choose_rules(context.settings.curate, kind)))


def _context(settings: Settings) -> Context:
    return Context(settings.run_folder / "curate.partial", settings, find_inputs(settings.curate))


def _find_file(settings: Settings, path: str) -> tuple[Context, Shard]:
    """The work on one file, as the source that holds it reads it: its name, place, repository and licence are of that.

    A file of no source is a source of its own.
    """
    sections, names = settings.curate.sources, name_sources(settings.curate.sources)
    for section, name in zip(sections, names, strict=True):
        if is_url(local_path(section.path)) or not _holds(section, path):
            continue
        context = _context_of(settings, section.model_copy(update={"name": name, "limit": None}))
        for place, file in enumerate(context.inputs.files):
            if file.path.name == Path(path).name and file.path.resolve() == Path(path).resolve():
                shard = plan_shards(context.settings.curate, context.inputs)[0]
                return context, replace(shard, work={**shard.work, "first": place, "end": place + 1})
    context = _context_of(settings, SourceSection(path=path))
    return context, plan_shards(context.settings.curate, context.inputs)[0]


def _context_of(settings: Settings, section: SourceSection) -> Context:
    """The settings with this source alone."""
    curate = settings.curate.model_copy(update={"sources": (section,)})
    return _context(settings.model_copy(update={"curate": curate}))


def _name_in_file(item: RawDocument | BadItem, place: int) -> str:
    """A record's name in its file; its place where it has none, as bad records and whole files."""
    return item.locator.partition("#")[2] or str(place)


def _holds(section: SourceSection, path: str) -> bool:
    source = before_magic(Path(local_path(section.path))).resolve()
    return source == Path(path).resolve() or source in Path(path).resolve().parents


def _read(shard: Shard, context: Context) -> Iterator[Item]:
    extractor = shared_extractor(context.settings.curate.extract)
    for item in read_shard(shard, context, Counter()):
        is_page = isinstance(item, RawDocument) and item.html is not None
        yield extract_page(item, extractor) if is_page else item  # type: ignore[arg-type]


def _is_sought(item: Item, identity: str) -> bool:
    return isinstance(item, RawDocument) and item.document.id == identity


def to_dict(explained: Explained) -> dict[str, Any]:
    """The explanation as JSON values."""
    judgement, document = explained.judgement, replace(explained.raw.document, text=explained.text)
    return {
        "id": document.id,
        "source": document.source,
        "locator": explained.raw.locator,
        "kind": explained.kind,
        "dropped_by": judgement.verdict.rule if judgement.verdict is not None else None,
        "conditions": [
            {
                "rule": rule.name,
                "condition": condition.name,
                "value": condition.value,
                "relation": condition.relation,
                "limit": condition.limit,
                "setting": condition.setting,
                "violated": condition.violated,
                "evidence": condition.offender() if condition.violated and condition.offender is not None else None,
            }
            for rule, condition in judgement.conditions
        ],
        "edits": [
            {"rule": rule.name, "reason": removal.reason, "text": removal.text}
            for rule, edited in judgement.edits
            for removal in edited.removed
        ],
    }
