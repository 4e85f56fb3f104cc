"""Pages as WARC: one gzip member a record, and the same bytes for the same pages.

Source: ISO 28500:2017 (WARC 1.1), sections 5 and 6 and annex D (record-at-a-time compression).
"""

import base64
import gzip
import hashlib
import io
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

WARC_DATE = "2000-01-01T00:00:00Z"
_COMPRESSION_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Exchange:
    """One page that was fetched: the bytes that went over the wire, scrubbed.

    `headers` holds the status line, the header lines and the empty line that ends them.
    """

    url: str
    request: bytes
    headers: bytes
    payload: bytes


def write_warc(path: Path, description: dict[str, str], exchanges: Iterable[Exchange]) -> None:
    """Write a WARC file: a warcinfo record, then response and request of each exchange.

    Args:
        path: the `.warc.gz` to write.
        description: fields of the warcinfo record.
        exchanges: what was fetched, in order.
    """
    with open(path, "wb") as file:
        fields = "".join(f"{name}: {value}\r\n" for name, value in description.items()).encode()
        headers = {"WARC-Filename": path.name, "Content-Type": "application/warc-fields"}
        file.write(_record("warcinfo", _record_id("warcinfo", path.name), headers, fields))
        for exchange in exchanges:
            file.write(_response(exchange))
            file.write(_request(exchange))


def _response(exchange: Exchange) -> bytes:
    headers = {
        "WARC-Target-URI": exchange.url,
        "WARC-IP-Address": "127.0.0.1",
        "WARC-Payload-Digest": _digest(exchange.payload),
        "Content-Type": "application/http; msgtype=response",
    }
    return _record("response", _record_id("response", exchange.url), headers, exchange.headers + exchange.payload)


def _request(exchange: Exchange) -> bytes:
    headers = {
        "WARC-Target-URI": exchange.url,
        "WARC-IP-Address": "127.0.0.1",
        "WARC-Concurrent-To": _record_id("response", exchange.url),
        "Content-Type": "application/http; msgtype=request",
    }
    return _record("request", _record_id("request", exchange.url), headers, exchange.request)


def _record(kind: str, record_id: str, headers: dict[str, str], block: bytes) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": record_id,
        "WARC-Date": WARC_DATE,
        "WARC-Block-Digest": _digest(block),
        **headers,
        "Content-Length": str(len(block)),
    }
    head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return compress(head.encode() + block + b"\r\n\r\n")


def _record_id(kind: str, name: str) -> str:
    return f"<{uuid.uuid5(uuid.NAMESPACE_URL, f'{kind} {name}').urn}>"


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def compress(data: bytes) -> bytes:
    """One gzip member that carries neither a time nor a name."""
    target = io.BytesIO()
    with gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, target, mtime=0) as member:
        member.write(data)
    return target.getvalue()
