"""Rows of CSV and TSV files: each comes out as a `Record` or, with its reason, as a `BadRecord`.

The usual reader turns one missing quotation mark into one endless field and says nothing. Here a row is asked to be
well formed; one that is not costs its first line, and reading goes on at the next one.
"""

import csv
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from llmforge.core.compression import COMPRESSIONS, read_chunks
from llmforge.core.errors import InputError
from llmforge.core.lines import BOM, UTF16_BOMS, Line, split_lines
from llmforge.core.records import BadRecord, Record

CSV_ENDINGS = tuple(name + packed for name in (".csv", ".tsv") for packed in ("", *COMPRESSIONS))
_DELIMITERS = (",", "\t", ";")


class CsvFile:
    """A file whose first row names its columns.

    Raises: InputError if there is no such row, or it names a column twice.
    """

    def __init__(self, path: Path, *, max_record_bytes: int, measures: Counter[str] | None = None) -> None:
        self._path, self._max_bytes = path, max_record_bytes
        self._measures = Counter() if measures is None else measures
        self._rows = _Rows(path, max_record_bytes, self._measures)
        self.columns = self._read_header()

    def _read_header(self) -> list[str]:
        row = next(self._rows.read(), None)
        if not isinstance(row, _Row):
            found = "is empty" if row is None else f"begins with a bad row ({row.error})"
            raise InputError(f"{self._path}: {found}; the first row names the columns", "look at its first line")
        columns = [name.strip() for name in row.values]
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise InputError(f"{self._path}: the column {twice[0]!r} is there twice", "rename one of them")
        return columns

    def read(self, *, may_end_early: bool = False) -> Iterator[Record | BadRecord]:
        """The rows below the first.

        Args:
            may_end_early: a row without its last fields is a row whose last fields are empty.
        """
        for number, row in enumerate(self._rows.read(), 1):
            if isinstance(row, BadRecord):
                yield row
                continue
            num_missing = len(self.columns) - len(row.values)
            if num_missing and not (may_end_early and num_missing > 0):
                yield BadRecord.of("column_count", row.offset, row.data)
            else:
                values = dict(zip(self.columns, row.values + [""] * num_missing, strict=True))
                yield Record(values, number, row.offset, len(row.data))


class _Row:
    """The fields of a row, and its bytes as they stand in the file."""

    def __init__(self, values: list[str], lines: list[Line]) -> None:
        self.values, self.offset = values, lines[0].offset
        self.data = b"\n".join(line.data for line in lines)


class _Rows:
    """Rows of a file, which may go over several lines; the header is one of them."""

    def __init__(self, path: Path, max_record_bytes: int, measures: Counter[str]) -> None:
        self._max_bytes, self._measures = max_record_bytes, measures
        self._lines = split_lines(read_chunks(path, measures), max_record_bytes)
        self._waiting: deque[Line | BadRecord] = deque()
        self._delimiter: str | None = None
        # One limit for the whole process; its default of 131,072 characters stops a file at a long text.
        csv.field_size_limit(max(csv.field_size_limit(), max_record_bytes))

    def read(self) -> Iterator[_Row | BadRecord]:
        """What comes next, up to the end."""
        while (line := self._take()) is not None:
            if isinstance(line, BadRecord):
                yield line
            elif not line.data.strip():
                self._measures["blank_lines"] += 1
            else:
                yield self._read_row(line)

    def _take(self) -> Line | BadRecord | None:
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def _read_row(self, first: Line) -> _Row | BadRecord:
        if self._delimiter is None:
            if first.data.startswith(UTF16_BOMS):
                return BadRecord.of("unexpected_encoding", first.offset, first.data)
            first = Line(first.data.removeprefix(BOM), first.offset)
            self._delimiter = choose_delimiter(first.data)
        lines: list[Line] = []
        try:
            values = next(csv.reader(self._pull(first, lines), delimiter=self._delimiter, strict=True))
        except csv.Error as problem:
            self._waiting.extendleft(reversed(lines[1:]))
            error = "unbalanced_quote" if '"' in str(problem) or "end of data" in str(problem) else "bad_row"
            return BadRecord.of(error, first.offset, first.data)
        row = _Row(values, lines)
        return row if _is_text(values) else BadRecord.of("invalid_utf8", row.offset, row.data)

    def _pull(self, first: Line, lines: list[Line]) -> Iterator[str]:
        """Lines for one row: as many as an open quotation mark needs, up to the size of a record."""
        line: Line | BadRecord | None = first
        num_bytes = 0
        while isinstance(line, Line) and num_bytes + len(line.data) <= self._max_bytes:
            lines.append(line)
            num_bytes += len(line.data)
            yield line.data.decode("utf-8", "surrogateescape") + "\n"
            line = self._take()
        if line is not None:
            self._waiting.appendleft(line)


def _is_text(values: list[str]) -> bool:
    """Whether all of it was UTF-8: other bytes were decoded to lone surrogates, which cannot be encoded."""
    try:
        "".join(values).encode()
    except UnicodeEncodeError:
        return False
    return True


def choose_delimiter(header: bytes) -> str:
    """What separates the names of the columns: a comma, a tab or a semicolon, whichever there is most of."""
    return max(_DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))
