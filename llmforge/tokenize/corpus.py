"""The documents of a tokenize stage, and which side of the validation split each is on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llmforge.core.documents import Document
from llmforge.core.hashing import derive_seed
from llmforge.core.records import BadRecord
from llmforge.core.shards import read_documents
from llmforge.pipeline.document_files import read_document_file
from llmforge.pipeline.inputs import InputFile
from llmforge.pipeline.stage import Context, Plan, Shard
from llmforge.tokenize.token_store import Split

TOKENIZER_SOURCE = ":tokenizer"
"""Under this name, which no source of text has, the files of an existing tokenizer are among the inputs."""


def plan_shards(context: Context) -> Plan:
    """One shard for every shard of the dedup artifact, or for every file of the user's."""
    artifact = context.inputs.artifact("dedup")
    if artifact is not None:
        paths = artifact.files("data/")
        works = [({"path": str(path)}, f"dedup {path.name}", path.stat().st_size) for path in paths]
    else:
        works = [
            ({"path": str(file.path), "source": file.source, "locator": file.locator}, file.locator, file.num_bytes)
            for file in context.inputs.files
            if file.source != TOKENIZER_SOURCE
        ]
    return Plan(tuple(Shard(index, name, work, size) for index, (work, name, size) in enumerate(works)))


def read_shard(shard: Shard, context: Context) -> Iterator[Document | BadRecord]:
    """Documents of a shard in order; in a file of the user's, bad records as well."""
    path, locator = Path(shard.work["path"]), shard.work.get("locator")
    if locator is None:
        return read_documents(path)
    file = InputFile(path, shard.work["source"], locator, shard.num_bytes)
    limit = context.settings.tokenize.max_record_bytes
    return read_document_file(file, column=None, max_record_bytes=limit)


def component(document: Document) -> str:
    """The group of near-duplicate candidates that a document belongs to, as dedup left it; else its own id."""
    facts = document.meta.get("dedup")
    return str(facts["component"]) if isinstance(facts, dict) and "component" in facts else document.id


def share(seed: int, purpose: str, key: str) -> float:
    """A number in [0, 1) drawn for `key`, the same on every machine and in any order."""
    return derive_seed(seed, "tokenize", purpose, key) / 2**63


@dataclass(frozen=True)
class ValidationSplit:
    """Assigns whole components, so that no near-duplicate of a validation document is in train.

    A component is in val where its share is below `val_fraction`; `moved` is the one component, if any, that
    changes sides because one of the two would be empty.
    """

    seed: int
    val_fraction: float
    moved: str | None = None

    def side(self, document: Document) -> Split:
        """Train or val."""
        group = component(document)
        is_val = share(self.seed, "validation", group) < self.val_fraction
        return "val" if is_val != (group == self.moved) else "train"
