"""Records of Parquet files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmforge.core.errors import InputError
from llmforge.core.records import TEXT_COLUMNS, BadRecord, Record, damaged_file, reject


def is_parquet(path: Path) -> bool:
    """Whether the name is one of a Parquet file."""
    return path.suffix.lower() == ".parquet"


def read_parquet(
    path: Path, *, max_record_bytes: int, column: str | None = None, nested: tuple[str, ...] = ()
) -> Iterator[Record | BadRecord]:
    """Rows of a Parquet file, a few at a time: the text column and the columns of plain values beside it.

    Args:
        path: a regular file.
        max_record_bytes: a larger row is bad.
        column: the column that must be there; None: one of `TEXT_COLUMNS`.
        nested: columns of times, lists or objects that are read as well, where they are there.
    Raises: InputError if the text column is missing or holds no text.
    """
    import pyarrow
    import pyarrow.parquet

    if path.stat().st_size == 0:
        yield damaged_file("bad_container", path)
        return
    try:
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
    except (pyarrow.ArrowException, OSError):
        yield damaged_file("bad_container", path)
        return
    with file:
        columns = _choose_columns(file.schema_arrow, path, column, nested)
        number = 0
        for group in range(file.num_row_groups):
            first = number
            try:
                for batch in file.iter_batches(64, row_groups=[group], columns=columns):
                    for values in batch.to_pylist():
                        number += 1
                        yield to_record(values, number, max_record_bytes)
            except (pyarrow.ArrowException, OSError) as problem:
                group_facts = file.metadata.row_group(group)
                size = group_facts.total_byte_size
                yield BadRecord("bad_row_group", number, size, hashlib.sha256().hexdigest(), str(problem)[:200])
                number = first + group_facts.num_rows


def to_record(values: dict[str, Any], number: int, max_record_bytes: int) -> Record | BadRecord:
    """A row of a table as a record; its size is that of its texts."""
    num_bytes = sum(len(value.encode("utf-8", "surrogatepass")) for value in values.values() if isinstance(value, str))
    record = Record(values, number, number, num_bytes)
    return reject(record, "record_too_large") if num_bytes > max_record_bytes else record


def _choose_columns(schema: Any, path: Path, column: str | None, nested: tuple[str, ...]) -> list[str]:
    """The text column and the plain columns.

    Raises: InputError naming the columns that there are, or the type that is no text.
    """
    from pyarrow import types

    wanted = (column,) if column is not None else TEXT_COLUMNS
    text = next((name for name in wanted if name in schema.names), None)
    if text is None:
        raise InputError(
            f"{path}: no column {' or '.join(map(repr, wanted))}; it has {', '.join(map(repr, schema.names))}",
            "name the column that holds the text with `column`",
        )
    kind = schema.field(text).type
    is_text = (types.is_string, types.is_large_string, types.is_string_view)
    if not any(test(kind) for test in is_text):
        raise InputError(f"{path}: column {text!r} holds {kind}, not text", "name another column with `column`")
    is_plain = (*is_text, types.is_integer, types.is_floating, types.is_boolean)
    return [field.name for field in schema if field.name in nested or any(test(field.type) for test in is_plain)]
