"""The items of a shard: its files through the reader of their type, in order."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

from llmforge.core.errors import InputError
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.curate.readers.table import find_reader
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
    items = chain.from_iterable(_read_file(reader, file, options) for file in files)
    return islice(items, options.section.limit)


def _read_file(reader: Reader, file: InputFile, options: ReadOptions) -> Iterator[Item]:
    try:
        before = file.path.stat()
        yield from reader.read(file, options)
        after = file.path.stat()
    except OSError as error:
        problem = f"{file.path}: cannot be read ({error.strerror or error})"
        raise InputError(problem, "check the file and its rights") from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise InputError(f"{file.path}: changed while it was read", "wait until it is complete, and run again")
