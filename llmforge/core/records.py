r"""Raw records of JSON-lines and Parquet files: each comes out as a `Record` or, with its reason, as a `BadRecord`.

    read_chunks -> split_lines -> read_jsonl -.
                                              +-> read_records -> find_text
                             read_parquet ----'

No byte is lost in silence: lines are split on `\n` before anything is decoded, so that one bad byte costs one
record; a record that is too large is skipped in bounded memory; damage of a compressed file is a bad record too.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from llmforge.core.compression import COMPRESSIONS, SAMPLE_BYTES, Damage, read_chunks
from llmforge.core.errors import InputError

TEXT_COLUMNS = ("text", "content", "raw_content")
"""Names under which data sets keep their text, in the order in which they are tried."""

JSONL_ENDINGS = tuple(name + packed for name in (".jsonl", ".ndjson", ".json") for packed in ("", *COMPRESSIONS))
BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Record:
    """One raw record.

    `number` counts lines or rows from 1, good and bad ones; `offset` is where it begins in the content of the
    file (bytes), after decompression; Parquet has no such place and says the row instead.
    """

    values: dict[str, Any]
    number: int
    offset: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record, or a range of a damaged file, that cannot be read.

    `error` is a short name; `offset` as in `Record`, but for damage of the file itself the place on disk;
    `sample` shows its first 200 bytes, escaped.
    """

    error: str
    offset: int
    num_bytes: int
    sha256: str
    sample: str

    @classmethod
    def of(cls, error: str, offset: int, data: bytes) -> "BadRecord":
        """A bad record whose bytes are at hand."""
        return cls(error, offset, len(data), hashlib.sha256(data).hexdigest(), escape(data))


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end, and where it begins in the content of its file (bytes)."""

    data: bytes
    offset: int


def escape(data: bytes) -> str:
    """The first bytes of `data` as printable ASCII."""
    return data[:SAMPLE_BYTES].decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")


def is_jsonl(path: Path) -> bool:
    """Whether the name is one of JSON lines, compressed or not."""
    return path.name.lower().endswith(JSONL_ENDINGS)


def is_parquet(path: Path) -> bool:
    """Whether the name is one of a Parquet file."""
    return path.suffix.lower() == ".parquet"


def read_records(
    path: Path, *, max_record_bytes: int, column: str | None = None, measures: Counter[str] | None = None
) -> Iterator[Record | BadRecord]:
    """Records of a JSON-lines or Parquet file.

    Args:
        path: a regular file; its ending says what it is.
        max_record_bytes: a larger record is bad.
        column: Parquet only: the column that must be there; None: one of `TEXT_COLUMNS`.
        measures: counts what is neither a record nor an error (blank lines, byte-order marks).
    Raises: InputError if a Parquet file has no such column, or it holds no text.
    """
    if is_parquet(path):
        return read_parquet(path, max_record_bytes=max_record_bytes, column=column)
    return read_jsonl(path, max_record_bytes=max_record_bytes, measures=measures)


class _Overflow:
    """The record being read when it has grown too large: hashed and counted, not kept."""

    def __init__(self, offset: int, parts: list[bytes]) -> None:
        self._offset, self._num_bytes = offset, 0
        self._sample, self._digest = b"", hashlib.sha256()
        for part in parts:
            self.add(part)

    def add(self, part: bytes) -> None:
        self._sample = self._sample or part[:SAMPLE_BYTES]
        self._num_bytes += len(part)
        self._digest.update(part)

    def bad_record(self, error: str) -> BadRecord:
        return BadRecord(error, self._offset, self._num_bytes, self._digest.hexdigest(), escape(self._sample))


@dataclass
class _LineBuffer:
    """The line that is being put together; it never holds more than the allowed bytes and one chunk."""

    max_bytes: int
    offset: int = 0
    num_bytes: int = 0
    parts: list[bytes] = field(default_factory=list)
    overflow: _Overflow | None = None

    def add(self, part: bytes) -> None:
        self.num_bytes += len(part)
        if self.overflow is not None:
            self.overflow.add(part)
            return
        self.parts.append(part)
        if self.num_bytes > self.max_bytes:
            self.overflow = _Overflow(self.offset, self.parts)
            self.parts = []

    def take(self, error: str | None = None, newline: int = 0) -> Line | BadRecord:
        """End the line, as a bad record if `error` is given or it is too large."""
        if self.overflow is not None:
            taken: Line | BadRecord = self.overflow.bad_record(error or "record_too_large")
        else:
            data = b"".join(self.parts)
            taken = BadRecord.of(error, self.offset, data) if error else Line(data, self.offset)
        self.offset += self.num_bytes + newline
        self.num_bytes, self.parts, self.overflow = 0, [], None
        return taken


def split_lines(chunks: Iterator[bytes | Damage], max_record_bytes: int) -> Iterator[Line | BadRecord]:
    r"""Lines of a byte stream, split on `\n` only, in bounded memory; a last line without an end counts.

    A line that damage cut off is part of that damage.
    """
    line = _LineBuffer(max_record_bytes)
    for chunk in chunks:
        if isinstance(chunk, Damage):
            is_cut = line.num_bytes > 0
            if is_cut:
                yield line.take(chunk.error)
            if chunk.num_bytes or not is_cut:
                yield damaged_range(chunk)
            continue
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            line.add(part)
            yield line.take(newline=1)
        if rest:
            line.add(rest)
    if line.num_bytes:
        yield line.take()


def damaged_range(damage: Damage) -> BadRecord:
    """A damage as a bad record."""
    # The hash is that of the sample: the range may be larger than memory, and its bytes are on disk still.
    digest = hashlib.sha256(damage.sample).hexdigest()
    return BadRecord(damage.error, damage.offset, damage.num_bytes, digest, escape(damage.sample))


def read_jsonl(
    path: Path, *, max_record_bytes: int, measures: Counter[str] | None = None
) -> Iterator[Record | BadRecord]:
    """Objects of a JSON-lines file, plain or compressed."""
    measures = Counter() if measures is None else measures
    number = 0
    for line in split_lines(read_chunks(path, measures), max_record_bytes):
        number += 1
        if isinstance(line, BadRecord):
            yield line
            continue
        data = line.data
        if number == 1 and data.startswith(UTF16_BOMS):
            yield _whole_file("unexpected_encoding", path)
            return
        if number == 1 and data.startswith(BOM):
            measures["byte_order_marks"] += 1
            data = data[len(BOM) :]
        if not data.strip():
            measures["blank_lines"] += 1
            continue
        values = parse_object(data)
        if isinstance(values, str):
            yield BadRecord.of(values, line.offset, line.data)
        else:
            yield Record(values, number, line.offset, len(line.data))
    if number == 0:
        measures["empty_files"] += 1


def parse_object(data: bytes) -> dict[str, Any] | str:
    """One JSON object, or the name of what is wrong with it."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return _name_json_error(data, error)
    return value if isinstance(value, dict) else "wrong_type"


def _name_json_error(data: bytes, error: json.JSONDecodeError) -> str:
    """Which rule of JSON is broken; orjson says it in words and by place."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "invalid_utf8"
    words = str(error)
    if "surrogate" in words:
        return "lone_surrogate"
    if "depth" in words or "ecursion" in words:
        return "nesting_too_deep"
    if "infinity when parsed" in words or "out of range" in words:
        return "bad_number"
    if text[error.pos :].startswith(("NaN", "Infinity")):
        return "nan_literal"
    return "bad_json"


def find_text(record: Record, column: str | None = None) -> tuple[str, str] | BadRecord:
    """The text of a record and the key that holds it.

    Args:
        record: a raw record.
        column: the key; None: the first of `TEXT_COLUMNS` that the record has.
    """
    keys = (column,) if column is not None else TEXT_COLUMNS
    key = next((key for key in keys if key in record.values), None)
    text = record.values[key] if key is not None else None
    if key is None or text is None:
        return reject(record, "missing_text")
    if not isinstance(text, str):
        return reject(record, "wrong_type")
    if "\0" in text:
        return reject(record, "nul_character")
    return text, key


def reject(record: Record, error: str) -> BadRecord:
    """The record as a bad one; its bytes are written again from its values."""
    data = orjson.dumps(record.values, default=str)
    return BadRecord(
        error, record.offset, record.num_bytes, hashlib.sha256(data).hexdigest(), escape(data[:SAMPLE_BYTES])
    )


def _whole_file(error: str, path: Path) -> BadRecord:
    with open(path, "rb") as file:
        sample = file.read(SAMPLE_BYTES)
    return damaged_range(Damage(error, 0, path.stat().st_size, sample))


def read_parquet(path: Path, *, max_record_bytes: int, column: str | None = None) -> Iterator[Record | BadRecord]:
    """Rows of a Parquet file, a few at a time: the text column and the columns of plain values beside it.

    Raises: InputError if the text column is missing or holds no text.
    """
    import pyarrow
    import pyarrow.parquet

    if path.stat().st_size == 0:
        yield _whole_file("bad_container", path)
        return
    try:
        file = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True)
    except (pyarrow.ArrowException, OSError):
        yield _whole_file("bad_container", path)
        return
    with file:
        columns = _choose_columns(file.schema_arrow, path, column)
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


def _choose_columns(schema: Any, path: Path, column: str | None) -> list[str]:
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
    return [field.name for field in schema if any(test(field.type) for test in is_plain)]
