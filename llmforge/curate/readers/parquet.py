"""Parquet files, a few rows at a time."""

from collections.abc import Iterator

from llmforge.core.parquet import read_parquet
from llmforge.curate.readers.items import Item, Reader, ReadOptions, from_records
from llmforge.pipeline.inputs import InputFile


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """One document a row."""
    column = options.section.column
    records = read_parquet(file.path, max_record_bytes=options.max_record_bytes, column=column)
    yield from from_records(records, file, column)


READER = Reader((".parquet",), read)
