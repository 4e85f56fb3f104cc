"""CSV and TSV files with a column of text, plain or compressed."""

from collections.abc import Iterator

from llmforge.core.csv_records import CSV_ENDINGS, CsvFile
from llmforge.core.errors import InputError
from llmforge.core.records import TEXT_COLUMNS
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.curate.readers.rows import from_records, text_column
from llmforge.pipeline.inputs import InputFile


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """One document a row.

    Raises: InputError naming the columns that there are, if none of them holds the text.
    """
    table = CsvFile(file.path, max_record_bytes=options.max_record_bytes, measures=options.measures)
    column = text_column(options)
    wanted = (column,) if column is not None else TEXT_COLUMNS
    if not set(wanted) & set(table.columns):
        raise InputError(
            f"{file.path}: no column {' or '.join(map(repr, wanted))}; it has {', '.join(map(repr, table.columns))}",
            "name the column that holds the text with `column`",
        )
    yield from from_records(table.read(), file, options)


READER = Reader(CSV_ENDINGS, read)
