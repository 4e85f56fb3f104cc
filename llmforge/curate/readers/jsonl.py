"""JSON lines, plain, gzip or zstd."""

from collections.abc import Iterator

from llmforge.core.jsonl import JSONL_ENDINGS, read_jsonl
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.curate.readers.rows import from_records
from llmforge.pipeline.inputs import InputFile


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """One document a line."""
    records = read_jsonl(file.path, max_record_bytes=options.max_record_bytes, measures=options.measures)
    yield from from_records(records, file, options)


READER = Reader(JSONL_ENDINGS, read)
