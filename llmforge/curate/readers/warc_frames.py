"""Where the records of web archives begin and end, so that one broken record costs one record.

A reader that trusts the length in a record's header loses the rest of the file to one wrong number. Here the number
is believed only if the end of the record, the end of the file or another record follows; otherwise reading goes on
at the next place that looks like a record.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from llmforge.core.compression import Damage
from llmforge.core.records import BadRecord, damaged_range, escape
from llmforge.curate.readers.archive_forms import MAX_HEADER_BYTES, WARC, ArchiveForm

_RECORD_END = b"\r\n\r\n"
_STEP_BYTES = 1 << 18
_GAP_BYTES = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """One record as it stands in the file; `data` holds its first bytes only if it is too large."""

    data: bytes
    offset: int
    num_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether `data` is the whole record."""
        return len(self.data) == self.num_bytes


class _Buffer:
    """A window on a byte stream up to its end or to the next damage."""

    def __init__(self, chunks: Iterator[bytes | Damage]) -> None:
        self._chunks = chunks
        self.data = bytearray()
        self.offset = 0
        self.damage: Damage | None = None
        self.is_ended = False

    def fill(self, num_bytes: int) -> bool:
        """Have at least `num_bytes` at hand, if the stream has them."""
        while len(self.data) < num_bytes and not self.is_ended:
            chunk = next(self._chunks, None)
            if chunk is None or isinstance(chunk, Damage):
                self.is_ended, self.damage = True, chunk
            else:
                self.data += chunk
        return len(self.data) >= num_bytes

    def take(self, num_bytes: int) -> bytes:
        """Remove bytes from the front."""
        taken = bytes(self.data[:num_bytes])
        del self.data[:num_bytes]
        self.offset += len(taken)
        return taken

    def go_on(self) -> None:
        """Cross a damage."""
        self.is_ended, self.damage = False, None


@dataclass(frozen=True, slots=True)
class _Span:
    """Bytes that were passed over: their first ones, their place, size and hash."""

    head: bytes
    offset: int
    num_bytes: int
    sha256: str

    def as_bad_record(self, error: str) -> BadRecord:
        return BadRecord(error, self.offset, self.num_bytes, self.sha256, escape(self.head))


def split_frames(
    chunks: Iterator[bytes | Damage], max_record_bytes: int, form: ArchiveForm = WARC
) -> Iterator[Frame | BadRecord]:
    """Records of an uncompressed archive in bounded memory; every byte is in one of them or between two."""
    buffer = _Buffer(chunks)
    while True:
        last: Frame | BadRecord | None = None
        for last in _frames_until_damage(buffer, max_record_bytes, form):
            yield last
        damage = buffer.damage
        if damage is None:
            return
        is_told = isinstance(last, BadRecord) and last.error == damage.error and damage.num_bytes == 0
        if not is_told:
            yield damaged_range(damage)
        buffer.go_on()


def _frames_until_damage(buffer: _Buffer, max_record_bytes: int, form: ArchiveForm) -> Iterator[Frame | BadRecord]:
    while _skip_blank(buffer):
        buffer.fill(MAX_HEADER_BYTES)
        if not form.start.match(buffer.data):
            error = "bad_record" if buffer.offset else f"not_{form.name}"
            yield _pass_over(buffer, form).as_bad_record(error)
            continue
        size = form.declared_size(buffer.data)
        if size is None:
            yield _pass_over(buffer, form).as_bad_record("bad_content_length")
        elif size <= max_record_bytes and _is_followed(buffer, size, form):
            offset = buffer.offset
            yield Frame(buffer.take(size), offset, size)
        else:
            yield _measure(buffer, size, max_record_bytes, form)


def _skip_blank(buffer: _Buffer) -> bool:
    """Go to the next record; false at the end."""
    while buffer.fill(1):
        buffer.take(len(buffer.data) - len(buffer.data.lstrip(b"\r\n")))
        if buffer.data:
            return True
    return False


def _is_followed(buffer: _Buffer, size: int, form: ArchiveForm) -> bool:
    """Whether the record is all there and another one, or the end, comes after it."""
    if not buffer.fill(size):
        return False
    buffer.fill(size + _GAP_BYTES)
    rest = bytes(buffer.data[size : size + _GAP_BYTES])
    if rest.startswith(_RECORD_END) and not _holds_another(buffer.data, size, form):
        return True  # a sound record, whatever comes after it
    rest = rest.lstrip(b"\r\n")
    return not rest or form.start.match(rest) is not None


def _holds_another(data: bytearray, size: int, form: ArchiveForm) -> bool:
    """Whether something within the record looks like the next one."""
    if form.mark is not None and data.find(form.mark, 0, size) < 0:
        return False
    return form.next_record.search(data, 0, size) is not None


def _measure(buffer: _Buffer, size: int, max_record_bytes: int, form: ArchiveForm) -> Frame | BadRecord:
    """A record that is too large, cut off, or of another size than declared: only what follows can tell."""
    span = _pass_over(buffer, form)
    if size > max_record_bytes and 0 <= span.num_bytes - size <= len(_RECORD_END):
        return Frame(span.head, span.offset, span.num_bytes)
    is_last = buffer.is_ended and not buffer.data
    if is_last and span.num_bytes < size:
        return span.as_bad_record(buffer.damage.error if buffer.damage is not None else "truncated_record")
    return span.as_bad_record("bad_content_length")


def _pass_over(buffer: _Buffer, form: ArchiveForm) -> _Span:
    """Go to the next place that looks like the beginning of a record, or to the end."""
    offset, digest, head, num_bytes = buffer.offset, hashlib.sha256(), b"", 0
    is_found = False
    while not is_found and buffer.fill(1):
        has_more = buffer.fill(_STEP_BYTES)
        found = form.next_record.search(buffer.data)
        is_found = found is not None
        # What may be the first half of the mark stays for the next look.
        passed = buffer.take(found.end() if found else len(buffer.data) - (_GAP_BYTES if has_more else 0))
        digest.update(passed)
        head = head or passed[:MAX_HEADER_BYTES]
        num_bytes += len(passed)
    return _Span(head, offset, num_bytes, digest.hexdigest())
