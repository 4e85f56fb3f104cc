"""Web archives: WARC files, plain or gzip; pages come out as HTML for extraction, WET records as text."""

import io
import zlib
from collections.abc import Iterator
from typing import Any

from llmforge.core.compression import read_chunks
from llmforge.core.documents import Document, document_id
from llmforge.core.records import BadRecord
from llmforge.curate.readers.charset import decode_page
from llmforge.curate.readers.items import BadItem, Item, RawDocument, Reader, ReadOptions, Verdict
from llmforge.curate.readers.warc_frames import Frame, split_frames
from llmforge.pipeline.inputs import InputFile

_HTML = ("text/html", "application/xhtml+xml")
_ZLIB_STARTS = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_DOCUMENTS = ("response", "resource", "conversion")


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """Pages of an archive; requests and other records that are no documents are counted as measures."""
    for number, frame in enumerate(split_frames(read_chunks(file.path), options.max_record_bytes), 1):
        if isinstance(frame, BadRecord):
            yield BadItem(file.locator, frame)
        elif (item := _to_item(frame, file, f"{file.locator}#{number}", options)) is not None:
            yield item


def _to_item(frame: Frame, file: InputFile, locator: str, options: ReadOptions) -> Item | None:
    """A record as an item; None if it is no document."""
    from fastwarc.warc import ArchiveIterator

    # One record at a time: where records end was settled before. Lenient about lines that end in a bare newline.
    records = ArchiveIterator(io.BytesIO(frame.data), parse_http=False, quirks_mode=True, stream_detect=False)
    try:
        record = next(records, None)
        if record is None:
            return _bad("bad_record", frame, locator)
        kind = (record.headers.get("WARC-Type") or "unknown").lower()
        if kind not in _DOCUMENTS:
            options.measures[f"warc_{kind}_records"] += 1
            return None
        url, meta = _describe(record)
        if kind != "conversion":
            record.parse_http(auto_decode="transfer", quirks_mode=True)
    except (OSError, ValueError) as problem:
        return _bad("bad_http" if "HTTP" in str(problem) else "bad_record", frame, locator)
    document = Document(document_id(file.source, locator, ""), "", file.source, url, meta)
    raw = RawDocument(document, locator, 0, frame.offset)
    return _read_text(record, frame, raw) if kind == "conversion" else _read_page(record, frame, raw, options)


def _describe(record: Any) -> tuple[str, dict[str, Any]]:
    """URL and metadata from the record's own headers."""
    headers = record.headers
    meta = {"warc_date": headers.get("WARC-Date"), "warc_record_id": headers.get("WARC-Record-ID")}
    return (headers.get("WARC-Target-URI") or "").strip("<>"), {key: value for key, value in meta.items() if value}


def _read_page(record: Any, frame: Frame, raw: RawDocument, options: ReadOptions) -> Item:
    """An answer of a web server, or a page that was stored without one."""
    status = record.http_headers.status_code if record.http_headers is not None else 200
    stored_type = record.headers.get("Content-Type") or ""
    content_type = (record.http_content_type if record.http_headers is not None else stored_type.split(";")[0]) or ""
    raw.num_bytes = record.content_length if frame.is_whole else frame.num_bytes
    if status != 200:
        raw.verdict = Verdict("warc.status_not_200", str(status), "200")
        return raw
    if content_type and content_type.lower() not in _HTML:
        raw.verdict = Verdict("warc.not_html", content_type, _HTML[0])
        return raw
    if not frame.is_whole:
        return _bad("record_too_large", frame, raw.locator)
    try:
        encoding = record.http_headers.get("Content-Encoding") if record.http_headers is not None else None
        page = decode_payload(record.reader.read(), encoding or "", options.max_record_bytes)
    except (OSError, ValueError, zlib.error):
        return _bad("payload_decode_error", frame, raw.locator)
    if len(page) > options.max_record_bytes:
        return _bad("record_too_large", frame, raw.locator)
    raw.num_bytes = len(page)
    raw.html, raw.document.meta["charset"], is_exact = decode_page(page, record.http_charset)
    if not is_exact:
        options.measures["pages_with_replaced_characters"] += 1
    return raw


def decode_payload(payload: bytes, encoding: str, max_bytes: int) -> bytes:
    """The body of an answer without its Content-Encoding; up to one byte more than `max_bytes` of it.

    Crawlers often store a body decoded and leave the header as it was, so the bytes have the last word.

    Raises: ValueError or zlib.error if the body is cut, damaged, or in an encoding that is not known here.
    """
    for name in reversed([part.strip().lower() for part in encoding.split(",")]):
        if name in ("gzip", "x-gzip", "deflate") and payload.startswith(_ZLIB_STARTS):
            decoder = zlib.decompressobj(47)  # gzip or zlib, as the bytes say
            payload = decoder.decompress(payload, max_bytes + 1)
            if not decoder.eof and len(payload) <= max_bytes:
                raise ValueError("the body ends too early")
        elif name in ("br", "zstd", "compress") and not payload.lstrip().startswith(b"<"):
            raise ValueError(f"{name} is not read here")
    return payload


def _read_text(record: Any, frame: Frame, raw: RawDocument) -> Item:
    """A record of a WET file: text that the crawler extracted."""
    data = record.reader.read()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _bad("invalid_utf8", frame, raw.locator)
    document = raw.document
    document.text, document.id = text, document_id(document.source, raw.locator, text)
    raw.num_bytes = len(data)
    return raw


def _bad(error: str, frame: Frame, locator: str) -> BadItem:
    return BadItem(locator, BadRecord.of(error, frame.offset, frame.data))


READER = Reader((".warc", ".warc.gz", ".wet", ".wet.gz"), read)
