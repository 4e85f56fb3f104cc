"""The items of a shard: its files through the reader of their type, in order."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from llmforge.core.documents import Document, document_id
from llmforge.core.errors import InputError
from llmforge.core.parquet import is_parquet
from llmforge.curate.readers.items import Item, RawDocument, Reader, ReadOptions, Verdict
from llmforge.curate.readers.table import find_reader
from llmforge.curate.remote import fetched
from llmforge.pipeline.inputs import InputFile
from llmforge.pipeline.stage import Context, Shard


def read_shard(shard: Shard, context: Context, measures: Counter[str]) -> Iterator[Item]:
    """What the shard's files hold, up to the source's limit.

    Args:
        measures: takes counts of what is no document.
    Raises: InputError if a file cannot be opened, or changes while it is read.
    """
    settings = context.settings.curate
    options = ReadOptions(settings.sources[shard.work["place"]], settings.max_record_bytes, measures)
    reader = find_reader(shard.work["type"])
    files = context.inputs.files[shard.work["first"] : shard.work["end"]]
    items: Iterator[Item]
    if files:
        place = context.scratch("fetched") / shard.stem
        items = chain.from_iterable(_read_file(reader, file, options, place) for file in files)
    else:  # fetched, not read from files here
        section = options.section
        whole = InputFile(Path(section.path), shard.work["source"], f"{section.path}/{section.split}", 0)
        items = reader.read(whole, options)
    return items if options.section.limit is None else _take(items, options.section.limit)


def _take(items: Iterator[Item], limit: int) -> Iterator[Item]:
    """Items up to and with the last document that the limit allows; what its reader drops is no such document."""
    num_taken = 0
    for item in items:
        num_taken += isinstance(item, RawDocument) and item.verdict is None
        if num_taken > limit:
            return
        yield item


def _read_file(reader: Reader, file: InputFile, options: ReadOptions, place: Path) -> Iterator[Item]:
    """A file's items; a remote one is fetched to `place` for as long as that takes."""
    with fetched(file, place) as copy:
        yield from _read_copy(reader, copy, options)


def _read_copy(reader: Reader, file: InputFile, options: ReadOptions) -> Iterator[Item]:
    try:
        before = file.path.stat()
        if before.st_size == 0 and not is_parquet(file.path):  # a Parquet file of no bytes is a broken one
            document = Document(document_id(file.source, file.locator, ""), "", file.source)
            yield RawDocument(document, file.locator, 0, verdict=Verdict("empty_file"))
        else:
            yield from reader.read(file, options)
        after = file.path.stat()
    except OSError as error:
        problem = f"{file.path}: cannot be read ({error.strerror or error})"
        raise InputError(problem, "check the file and its rights") from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise InputError(f"{file.path}: changed while it was read", "wait until it is complete, and run again")
