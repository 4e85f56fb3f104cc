"""How web archives of the two kinds mark their records, and ARC records as WARC records.

    WARC   WARC/1.0, headers with Content-Length, an empty line, the content, two line ends
    ARC    one line: URL, IP address, date, type, length; the content, one line end

Source: ISO 28500 (WARC); Burner and Kahle, Arc File Format, Internet Archive, 1996.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_HEADER_BYTES = 1 << 16
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_CONTENT_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([^\r\n]*)", re.IGNORECASE)
_DATE_PARTS = ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))
_ARC_HEADER = re.compile(rb"([a-z][a-z0-9+.-]{1,12}:[^\r\n]{0,4000}) (\S{1,64}) (\d{14}) (\S{1,200}) (\d{1,15})\r?\n")


@dataclass(frozen=True)
class ArchiveForm:
    """How a kind of archive marks its records.

    Attributes:
        name: of the error for a file that is none.
        start: what a record's first bytes are.
        next_record: the end of a line before what looks like a record.
        mark: bytes without which nothing looks so; found much faster. None: there are none.
        declared_size: of a record by its header, the header included (bytes); None if it says none.
    """

    name: str
    start: re.Pattern[bytes]
    next_record: re.Pattern[bytes]
    mark: bytes | None
    declared_size: Callable[[bytearray], int | None]


def _size_of_warc(data: bytearray) -> int | None:
    end = _HEADER_END.search(data, 0, MAX_HEADER_BYTES)
    if end is None:
        return None
    length = _CONTENT_LENGTH.search(data, 0, end.end())
    digits = length[1].strip() if length is not None else b""
    return end.end() + int(digits) if digits.isdigit() and len(digits) < 16 else None


def _size_of_arc(data: bytearray) -> int | None:
    header = _ARC_HEADER.match(data)
    return None if header is None else header.end() + int(header[5])


WARC = ArchiveForm("warc", re.compile(rb"WARC/"), re.compile(rb"\r?\n(?=WARC/[01]\.)"), b"\nWARC/", _size_of_warc)
ARC = ArchiveForm(
    "arc",
    re.compile(rb"[a-z][a-z0-9+.-]{1,12}:"),
    re.compile(rb"\r?\n(?=[a-z][a-z0-9+.-]{1,12}:[^\r\n]{0,2000} [\d.:a-f]{3,40} \d{14} \S{1,100} -?\d+\r?\n)"),
    None,
    _size_of_arc,
)


def arc_to_warc(record: bytes) -> bytes:
    """A record of an ARC file as one of a WARC file; what stands in its place for the file itself is a warcinfo."""
    header = _ARC_HEADER.match(record)
    if header is None:
        return record
    url, _, date, kind, _ = header.groups()
    body = record[header.end() :]
    is_answer = body.startswith(b"HTTP/")
    warc_type = b"warcinfo" if url.startswith(b"filedesc:") else b"response" if is_answer else b"resource"
    when = b"%b-%b-%bT%b:%b:%bZ" % tuple(date[start:stop] for start, stop in _DATE_PARTS)
    return b"".join(
        (
            b"WARC/1.0\r\nWARC-Type: " + warc_type,
            b"\r\nWARC-Target-URI: " + url,
            b"\r\nWARC-Date: " + when,
            b"\r\nContent-Type: " + (b"application/http" if is_answer else kind),
            b"\r\nContent-Length: %d\r\n\r\n" % len(body),
            body,
        )
    )
