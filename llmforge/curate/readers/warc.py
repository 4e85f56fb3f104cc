"""Web archives: WARC and ARC files; pages come out as HTML for extraction, WET records as text."""

import zlib
from collections.abc import Iterator

from llmforge.core.compression import COMPRESSIONS, read_chunks
from llmforge.core.documents import Document, document_id
from llmforge.core.records import BadRecord
from llmforge.curate.readers.archive_forms import ARC, WARC, ArchiveForm, arc_to_warc
from llmforge.curate.readers.charset import to_utf8
from llmforge.curate.readers.items import BadItem, Item, RawDocument, Reader, ReadOptions, Verdict
from llmforge.curate.readers.warc_frames import Frame, split_frames
from llmforge.curate.readers.web_record import RecordError, WebRecord, parse_record
from llmforge.pipeline.inputs import InputFile

_HTML = ("text/html", "application/xhtml+xml")
_ZLIB_STARTS = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_ARC_ENDINGS = tuple(".arc" + packed for packed in ("", *COMPRESSIONS))
_DOCUMENTS = ("response", "resource", "conversion")


def read(file: InputFile, options: ReadOptions) -> Iterator[Item]:
    """Pages of an archive; requests and other records that are no documents are counted as measures."""
    form = ARC if file.path.name.lower().endswith(_ARC_ENDINGS) else WARC
    for number, frame in enumerate(split_frames(read_chunks(file.path), options.max_record_bytes, form), 1):
        if isinstance(frame, BadRecord):
            yield BadItem(file.locator, frame)
        elif (item := _to_item(frame, form, file, f"{file.locator}#{number}", options)) is not None:
            yield item


def _to_item(frame: Frame, form: ArchiveForm, file: InputFile, locator: str, options: ReadOptions) -> Item | None:
    """A record as an item; None if it is no document."""
    try:
        record = parse_record(frame.data if form is WARC else arc_to_warc(frame.data))
    except RecordError as problem:
        return _bad(problem.error, frame, locator)
    if record.kind not in _DOCUMENTS:
        options.measures[f"warc_{record.kind}_records"] += 1
        return None
    meta = {name.lower().replace("-", "_"): value for name, value in record.headers.items()}
    document = Document(document_id(file.source, locator, ""), "", file.source, record.url, meta)
    raw = RawDocument(document, locator, 0, frame.offset)
    if record.kind == "conversion":
        return _read_text(record, frame, raw)
    return _read_page(record, frame, raw, options)


def _read_page(record: WebRecord, frame: Frame, raw: RawDocument, options: ReadOptions) -> Item:
    """An answer of a web server, or a page that was stored without one."""
    raw.num_bytes = record.num_bytes if frame.is_whole else frame.num_bytes
    if record.status not in (None, 200):
        raw.verdict = Verdict("warc.status_not_200", str(record.status), "200")
        return raw
    if record.content_type and record.content_type.lower() not in _HTML:
        raw.verdict = Verdict("warc.not_html", record.content_type, _HTML[0])
        return raw
    if not frame.is_whole:
        return _bad("record_too_large", frame, raw.locator)
    try:
        page = decode_payload(record.read_body(), record.encoding, options.max_record_bytes)
    except (OSError, ValueError, zlib.error):
        return _bad("payload_decode_error", frame, raw.locator)
    if len(page) > options.max_record_bytes:
        return _bad("record_too_large", frame, raw.locator)
    raw.num_bytes = len(page)
    raw.html, raw.document.meta["charset"], is_exact = to_utf8(page, record.charset)
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


def _read_text(record: WebRecord, frame: Frame, raw: RawDocument) -> Item:
    """A record of a WET file: text that the crawler extracted."""
    data = record.read_body()
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


READER = Reader(tuple(name + packed for name in (".warc", ".wet", ".arc") for packed in ("", *COMPRESSIONS)), read)
