"""Rows of tables and objects of JSON lines as raw documents."""

from collections.abc import Iterator

from llmforge.core.records import BadRecord, Record
from llmforge.curate.readers.items import BadItem, Item, RawDocument, ReadOptions
from llmforge.curate.readers.presets import find_preset, note_meta
from llmforge.pipeline.document_files import to_document
from llmforge.pipeline.inputs import InputFile


def text_column(options: ReadOptions) -> str | None:
    """The column that the settings or the data set's layout name; None: the first of the usual ones."""
    preset = find_preset(options.section)
    return options.section.column or (preset.column if preset is not None else None)


def nested_columns(options: ReadOptions) -> tuple[str, ...]:
    """Columns that hold more than plain values and are wanted all the same."""
    preset = find_preset(options.section)
    return preset.nested if preset is not None else ()


def from_records(records: Iterator[Record | BadRecord], file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """Rows or objects as raw documents of the file's source."""
    preset, column = find_preset(options.section), text_column(options)
    for record in records:
        found = record if isinstance(record, BadRecord) else to_document(record, file.source, file.locator, column)
        if isinstance(found, BadRecord):
            yield BadItem(file.locator, found)
        elif isinstance(record, Record):
            found.source = file.source
            if preset is not None:
                note_meta(preset, record.values, found)
            yield RawDocument(found, f"{file.locator}#{record.number}", found.num_bytes, record.offset)
