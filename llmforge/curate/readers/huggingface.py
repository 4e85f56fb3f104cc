"""Data sets of the Hugging Face hub, streamed; the only place that imports `datasets`."""

from collections.abc import Iterator
from typing import Any

from llmforge.core.errors import InputError, MachineError
from llmforge.core.parquet import to_record
from llmforge.core.records import TEXT_COLUMNS, BadRecord, Record
from llmforge.curate.readers.items import Item, Reader, ReadOptions
from llmforge.curate.readers.rows import from_records, text_column
from llmforge.pipeline.inputs import InputFile


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """The rows of one split, in its own order.

    Raises: InputError if there is no such data set, split, subset or column; MachineError if it cannot be reached.
    """
    yield from from_records(_read_rows(options), file, options)


def _read_rows(options: ReadOptions) -> Iterator[Record | BadRecord]:
    try:
        for number, row in enumerate(_open(options), 1):
            yield to_record(row, number, options.max_record_bytes)
    except OSError as error:
        raise _unreachable(options, error) from error


def _open(options: ReadOptions) -> Any:
    """The data set as a stream of rows."""
    import datasets

    section = options.section
    datasets.disable_progress_bars()
    try:
        rows = datasets.load_dataset(
            section.path, section.subset, split=section.split, revision=section.revision, streaming=True
        )
    except (FileNotFoundError, ValueError) as error:
        raise InputError(f"{section.path}: {error}", "check the name, `split` and `subset`") from error
    except OSError as error:
        raise _unreachable(options, error) from error
    column = text_column(options)
    wanted = (column,) if column is not None else TEXT_COLUMNS
    names = rows.column_names
    if names is not None and not set(wanted) & set(names):
        raise InputError(
            f"{section.path}: no column {' or '.join(map(repr, wanted))}; it has {', '.join(map(repr, names))}",
            "name the column that holds the text with `column`",
        )
    return rows


def _unreachable(options: ReadOptions, error: OSError) -> MachineError:
    return MachineError(
        f"{options.section.path}: no such path here, and the Hugging Face hub cannot be reached ({error})",
        "check the path; for a data set, check the network, or download it and name its folder",
    )


READER = Reader((), read)
