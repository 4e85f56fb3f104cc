"""Where dedup's documents come from: curate's artifact, or files that never saw curate."""

from collections.abc import Iterator
from pathlib import Path

from llmforge.config.schema import Settings
from llmforge.core.documents import Document
from llmforge.core.records import BadRecord
from llmforge.core.shards import read_documents
from llmforge.dedup.earlier import open_earlier
from llmforge.dedup.words import BLOCK_CHARS
from llmforge.pipeline.document_files import find_document_files, read_document_file
from llmforge.pipeline.inputs import Inputs, open_artifact
from llmforge.pipeline.stage import Context, Shard

_DATA = "data/"


def find_inputs(settings: Settings, run_folder: Path) -> Inputs:
    """The files of `dedup.data`, or else curate's artifact.

    Raises: InputError if they are missing.
    """
    earlier = open_earlier(settings.dedup)
    if settings.dedup.data is not None:
        return Inputs(files=find_document_files(settings.dedup.data), artifacts=earlier)
    return Inputs(artifacts=(("curate", open_artifact(run_folder, "curate")), *earlier))


def input_shards(context: Context) -> tuple[Shard, ...]:
    """One shard an input file; curate's keep their numbers."""
    artifact = context.inputs.artifact("curate")
    if artifact is None:
        return tuple(
            Shard(index, file.locator, {"file": index}, file.num_bytes)
            for index, file in enumerate(context.inputs.files)
        )
    return tuple(
        Shard(int(path.name.split(".")[0]), path.name, {"path": path.name}, path.stat().st_size)
        for path in artifact.files(_DATA)
    )


def first_free(shards: tuple[Shard, ...]) -> int:
    """The first number above those of some shards."""
    return 1 + max((shard.index for shard in shards), default=-1)


def read_shard(shard: Shard, context: Context) -> Iterator[Document | BadRecord]:
    """The documents of an input shard; what cannot be read comes as a bad record, in its place."""
    artifact = context.inputs.artifact("curate")
    if artifact is not None:
        yield from read_documents(artifact.folder / _DATA / shard.work["path"])
        return
    settings = context.settings.dedup
    file = context.inputs.files[shard.work["file"]]
    yield from read_document_file(file, column=settings.column, max_record_bytes=settings.max_record_bytes)


def read_batches(shard: Shard, context: Context) -> Iterator[list[Document]]:
    """The documents of an input shard that can be read, by the block: long enough for arrays to be fast.

    Their order numbers the rows of the shard.
    """
    batch: list[Document] = []
    num_chars = 0
    for document in read_shard(shard, context):
        if isinstance(document, BadRecord):
            continue
        batch.append(document)
        num_chars += len(document.text)
        if num_chars >= BLOCK_CHARS:
            yield batch
            batch, num_chars = [], 0
    if batch:
        yield batch


def origin_of(shard: Shard, context: Context) -> tuple[str, str]:
    """Source and locator of what cannot be read."""
    file = context.inputs.files[shard.work["file"]]
    return file.source, file.locator
