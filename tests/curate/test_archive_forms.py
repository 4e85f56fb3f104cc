"""ARC files, lz4, and the second parser."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import lz4.frame
import pytest
from curating import PROSE, Result

from llmforge.curate.readers import web_record
from llmforge.curate.readers.archive_forms import arc_to_warc
from llmforge.curate.readers.web_record import RecordError, WebRecord, parse_record

Curate = Callable[..., Result]


def arc_record(url: str, body: bytes, length: int | str | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"{url} 10.0.0.1 20080430204825 text/html {size}\n".encode() + body + b"\n"


def answer(text: str = PROSE) -> bytes:
    page = f"<html><body><article><p>{text}</p></article></body></html>"
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{page}".encode()


def arc(*records: bytes) -> bytes:
    head = b"filedesc://a.arc 0.0.0.0 20080430204825 text/plain "
    body = b"1 0 Archive\nURL IP-address Archive-date Content-type Archive-length\n"
    return head + str(len(body)).encode() + b"\n" + body + b"\n" + b"".join(records)


@pytest.mark.parametrize("length", [7, 10**9, "abc", "-1"])
def test_pages_of_an_arc_file_come_out_and_a_wrong_length_costs_one_record(
    curate: Curate, tmp_path: Path, length: int | str
) -> None:
    dns = arc_record("dns:example.org", b"20080430204825\nexample.org. 10.0.0.1\n").replace(b"text/html", b"text/dns")
    records = [dns, arc_record("http://a/x y", answer()), arc_record("http://a/2", answer("bad"), length)]
    (tmp_path / "a.arc").write_bytes(arc(*records, arc_record("http://a/3", answer())))
    result = curate(tmp_path / "a.arc")
    assert [(row["url"], row["text"]) for row in result.kept] == [("http://a/x y", PROSE), ("http://a/3", PROSE)]
    assert result.kept[0]["meta"]["warc_date"] == "2008-04-30T20:48:25Z"
    assert result.rules == {"warc.not_html": 1}
    assert result.errors == {"bad_content_length": 1}
    assert result.manifest.counts["measures"]["warc_warcinfo_records"] == 1


def test_lz4_archives_are_read_and_damage_in_them_is_named(curate: Curate, tmp_path: Path) -> None:
    packed = [lz4.frame.compress(part, content_checksum=True) for part in (arc(), arc_record("http://a/", answer()))]
    (tmp_path / "a.arc.lz4").write_bytes(b"".join(packed))
    (tmp_path / "b.arc.lz4").write_bytes(b"".join(packed)[:-30])
    flipped = bytearray(b"".join(packed))
    flipped[-1] ^= 1
    (tmp_path / "c.arc.lz4").write_bytes(bytes(flipped))
    result = curate(*(tmp_path / name for name in ("a.arc.lz4", "b.arc.lz4", "c.arc.lz4")))
    assert result.texts == [PROSE]
    assert result.errors == {"truncated_lz4": 1, "crc_mismatch": 1}


def test_without_fastwarc_warcio_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def view(record: WebRecord) -> tuple[object, ...]:
        return (
            *(getattr(record, name) for name in [field.name for field in fields(WebRecord)][:-1]),
            record.read_body(),
        )

    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    bodies = [answer(), chunked + b"5\r\n<p>hi\r\n0\r\n\r\n"]
    for body in bodies:
        data = arc_to_warc(arc_record("http://a/", body)[:-1])
        first = view(parse_record(data))
        with monkeypatch.context() as patch:
            patch.setattr(web_record, "parse_with_fastwarc", _missing)
            assert view(parse_record(data)) == first
    assert first[-1] == b"<p>hi"
    assert first[4:7] == (200, "text/html", "utf-8")


def _missing(_: bytes) -> WebRecord:
    raise ImportError("fastwarc")


@pytest.mark.parametrize("data", [b"", b"junk"])
def test_what_neither_parser_takes_is_a_bad_record(data: bytes) -> None:
    with pytest.raises(RecordError, match="bad_record"):
        parse_record(data)


def test_a_real_crawl_is_the_same_as_arc_and_as_warc(real_data: Path, curate: Curate) -> None:
    folder = real_data / "web" / "warc" / "aut"
    settings = {"extract": {"engine": "resiliparse"}}
    results = [curate(folder / name, settings=settings) for name in ("example.arc.gz", "example.warc.gz")]
    pages = [[(row["url"], row["text"]) for row in result.kept] for result in results]
    assert pages[0] == pages[1]
    assert len(pages[0]) == 93  # a 94th page has an empty body
    assert results[0].rules == results[1].rules
