"""One record of a web archive, parsed: by FastWARC, and by warcio where that is missing or gives up.

Both get the bytes of a single record: where records begin and end was settled before.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_HTTP_KINDS = ("response", "resource")


class RecordError(Exception):
    """A record that no parser takes; `error` names what is wrong with it."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class WebRecord:
    """A record's headers, and its body on demand.

    Attributes:
        kind: response, request, conversion and so on, in small letters.
        url: what was asked for; may be empty.
        headers: `WARC-Date` and `WARC-Record-ID`, where the record has them.
        num_bytes: size of the body as it is stored (bytes).
        status: of the server's answer; None if there is none.
        content_type: of the answer, or of what was stored without one; without parameters.
        charset: as the answer says; None if it does not.
        encoding: the answer's Content-Encoding, or nothing.
        read_body: the body without transfer encoding; raises OSError or ValueError if it is damaged.
    """

    kind: str
    url: str
    headers: Mapping[str, str]
    num_bytes: int
    status: int | None
    content_type: str
    charset: str | None
    encoding: str
    read_body: Callable[[], bytes]


def parse_record(data: bytes) -> WebRecord:
    """The record that these bytes hold.

    Raises: RecordError if no parser takes it.
    """
    error = "bad_record"
    for parse in (parse_with_fastwarc, parse_with_warcio):
        try:
            return parse(data)
        except ImportError:
            continue
        except RecordError as problem:
            error = problem.error
    raise RecordError(error)


def parse_with_fastwarc(data: bytes) -> WebRecord:
    """The record, by FastWARC; lenient about lines that end in a bare newline."""
    from fastwarc.warc import ArchiveIterator

    try:
        record = next(ArchiveIterator(io.BytesIO(data), parse_http=False, quirks_mode=True, stream_detect=False), None)
        if record is None:
            raise RecordError("bad_record")
        kind = (record.headers.get("WARC-Type") or "unknown").lower()
        if kind in _HTTP_KINDS:
            record.parse_http(auto_decode="transfer", quirks_mode=True)
    except (OSError, ValueError) as problem:
        raise RecordError("bad_http" if "HTTP" in str(problem) else "bad_record") from problem
    http = record.http_headers
    return WebRecord(
        kind,
        _target(record.headers.get),
        _describe(record.headers.get),
        record.content_length,
        None if http is None else http.status_code,
        (record.http_content_type if http is not None else _without_parameters(record.headers.get)) or "",
        record.http_charset,
        (http.get("Content-Encoding") if http is not None else None) or "",
        record.reader.read,
    )


def parse_with_warcio(data: bytes) -> WebRecord:
    """The record, by warcio."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.bufferedreaders import ChunkedDataReader
    from warcio.exceptions import ArchiveLoadFailed
    from warcio.statusandheaders import StatusAndHeadersParserException

    try:
        record = next(iter(ArchiveIterator(io.BytesIO(data))), None)
    except (ArchiveLoadFailed, OSError, ValueError) as problem:
        raise RecordError("bad_record") from problem
    except (StatusAndHeadersParserException, EOFError) as problem:
        raise RecordError("bad_http") from problem
    if record is None:
        raise RecordError("bad_record")
    http, header = record.http_headers, record.rec_headers.get_header
    is_chunked = http is not None and (http.get_header("Transfer-Encoding") or "").lower() == "chunked"
    stream = ChunkedDataReader(record.raw_stream, decomp_type=None) if is_chunked else record.raw_stream
    answer = header if http is None else http.get_header
    return WebRecord(
        (record.rec_type or "unknown").lower(),
        _target(header),
        _describe(header),
        max(record.payload_length, 0),
        _status(http),
        _without_parameters(answer) or "",
        _charset(answer("Content-Type") or "") if http is not None else None,
        (http.get_header("Content-Encoding") if http is not None else None) or "",
        stream.read,
    )


def _target(get: Callable[[str], str | None]) -> str:
    return (get("WARC-Target-URI") or "").strip("<>")


def _describe(get: Callable[[str], str | None]) -> dict[str, str]:
    return {name: value for name in ("WARC-Date", "WARC-Record-ID") if (value := get(name))}


def _without_parameters(get: Callable[[str], str | None]) -> str:
    return (get("Content-Type") or "").split(";")[0].strip()


def _charset(content_type: str) -> str | None:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip(" \"'").lower() or None
    return None


def _status(http: Any) -> int | None:
    if http is None:
        return None
    code = http.get_statuscode()
    return int(code) if code.isdigit() else 0
