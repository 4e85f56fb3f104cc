r"""Lines of a byte stream, in bounded memory.

Lines are split on `\n` before anything is decoded, so that one bad byte costs one record; a line that is too large
is hashed, counted and passed over.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from llmforge.core.compression import SAMPLE_BYTES, Damage
from llmforge.core.records import BadRecord, damaged_range, escape

BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end, and where it begins in the content of its file (bytes)."""

    data: bytes
    offset: int


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
