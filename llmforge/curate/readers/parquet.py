"""Parquet files, a few rows at a time."""

from collections.abc import Iterator

from llmforge.core.parquet import read_parquet
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.curate.readers.rows import from_records, nested_columns, text_column
from llmforge.pipeline.inputs import InputFile


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """One document a row."""
    limit, column = options.max_record_bytes, text_column(options)
    records = read_parquet(file.path, max_record_bytes=limit, column=column, nested=nested_columns(options))
    yield from from_records(records, file, options)


READER = Reader((".parquet",), read)
