"""What readers hand out: each raw record comes as a `Record` or, with its reason, as a `BadRecord`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmforge.core.compression import SAMPLE_BYTES, Damage

TEXT_COLUMNS = ("text", "content", "raw_content")
"""Names under which data sets keep their text, in the order in which they are tried."""


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


def escape(data: bytes) -> str:
    """The first bytes of `data` as printable ASCII."""
    return data[:SAMPLE_BYTES].decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")


def damaged_range(damage: Damage) -> BadRecord:
    """A damage as a bad record."""
    # The hash is that of the sample: the range may be larger than memory, and its bytes are on disk still.
    digest = hashlib.sha256(damage.sample).hexdigest()
    return BadRecord(damage.error, damage.offset, damage.num_bytes, digest, escape(damage.sample))


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


def damaged_file(error: str, path: Path) -> BadRecord:
    """A whole file that cannot be read as what its name says."""
    with open(path, "rb") as file:
        sample = file.read(SAMPLE_BYTES)
    return damaged_range(Damage(error, 0, path.stat().st_size, sample))
