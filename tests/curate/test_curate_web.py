import gzip
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from curating import PROSE, Result

from llmforge.config.curate import ExtractSection, SourceSection
from llmforge.core.errors import MachineError
from llmforge.curate.extract import ExtractError, Extractor
from llmforge.curate.readers.items import BadItem, ReadOptions
from llmforge.curate.readers.warc import read
from llmforge.pipeline.inputs import InputFile

Curate = Callable[..., Result]


def page(text: str = PROSE) -> str:
    return f"<html><head><title>t</title></head><body><article><p>{text}</p></article></body></html>"


def record(
    body: bytes,
    *,
    kind: str = "response",
    http: str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n",
    length: int | str | None = None,
) -> bytes:
    payload = http.encode() + body
    length = len(payload) if length is None else length
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://example.org/a\r\n"
        f"WARC-Date: 2020-01-01T00:00:00Z\r\nContent-Type: application/http\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + payload + b"\r\n\r\n"


GOOD = record(page().encode())


def test_pages_come_out_as_text_with_where_they_come_from(curate: Curate, tmp_path: Path) -> None:
    others = [
        record(b"", kind="request", http="GET / HTTP/1.1\r\n\r\n"),
        record(page().encode(), http="HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n"),
        record(b"\x89PNG", http="HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"),
        record(b"<html><body></body></html>"),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join([GOOD, *others]))
    (tmp_path / "b.warc.gz").write_bytes(b"".join(gzip.compress(part) for part in [GOOD, *others]))
    result = curate(tmp_path / "a.warc", tmp_path / "b.warc.gz")
    assert result.texts == [PROSE, PROSE]
    assert result.kept[0]["url"] == "http://example.org/a"
    assert result.kept[0]["meta"]["charset"] == "utf-8"
    assert result.rules == {"warc.status_not_200": 2, "warc.not_html": 2, "no_main_text": 2}
    assert result.manifest.counts["measures"]["warc_request_records"] == 2
    assert result.kept[0]["id"] != result.kept[1]["id"]


@pytest.mark.parametrize("length", [10, 10**9, -1, "many", ""])
def test_a_wrong_content_length_costs_one_record(curate: Curate, tmp_path: Path, length: int | str) -> None:
    broken = record(page("x" * 400).encode(), length=length)
    (tmp_path / "a.warc").write_bytes(GOOD + broken + GOOD + GOOD)
    result = curate(tmp_path / "a.warc")
    assert len(result.kept) == 3
    assert result.errors == {"bad_content_length": 1}
    assert result.quarantined[0]["offset"] == len(GOOD)


def test_damage_between_and_within_records_is_named(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(GOOD + b"some junk\r\n" + GOOD + record(page().encode())[:-300])
    (tmp_path / "b.warc").write_bytes(b"this is no archive at all")
    (tmp_path / "c.warc.gz").write_bytes(gzip.compress(GOOD) + gzip.compress(record(os.urandom(5000)))[:-100])
    result = curate(tmp_path / "a.warc", tmp_path / "b.warc", tmp_path / "c.warc.gz")
    assert len(result.kept) == 3
    assert result.errors == {"bad_record": 1, "truncated_record": 1, "not_warc": 1, "truncated_gzip": 1}


def test_a_flipped_bit_in_a_member_costs_that_member(curate: Curate, tmp_path: Path) -> None:
    members = [bytearray(gzip.compress(record(page(f"{PROSE} {number}").encode()))) for number in range(3)]
    members[1][-6] ^= 1
    (tmp_path / "a.warc.gz").write_bytes(b"".join(members))
    result = curate(tmp_path / "a.warc.gz")
    assert [text[-1] for text in result.texts] == ["0", "2"]
    assert result.errors == {"crc_mismatch": 1}


def test_a_decompression_bomb_is_not_unpacked(curate: Curate, tmp_path: Path) -> None:
    bomb = gzip.compress(b"\0" * (120 << 20), 9)
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(GOOD) + bomb)
    result = curate(tmp_path / "a.warc.gz")
    assert (len(result.kept), result.errors) == (1, {"bomb": 1})


def test_payloads_that_cannot_be_decoded_are_named(curate: Curate, tmp_path: Path) -> None:
    encoded = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n"
    good = record(gzip.compress(page().encode()), http=encoded)
    bad = record(gzip.compress(os.urandom(3000))[:-500], http=encoded)
    large = record(gzip.compress(b"<p>" + b"x" * 100_000), http=encoded)
    (tmp_path / "a.warc").write_bytes(good + bad + large)
    result = curate(tmp_path / "a.warc", settings={"max_record_bytes": 20_000})
    assert len(result.kept) == 1
    assert result.errors == {"payload_decode_error": 1, "record_too_large": 1}


def test_text_that_the_crawler_extracted_is_taken_as_it_is(curate: Curate, tmp_path: Path) -> None:
    wet = [record(text, kind="conversion", http="") for text in (PROSE.encode(), b"bad \xff")]
    (tmp_path / "a.warc.wet.gz").write_bytes(b"".join(map(gzip.compress, wet)))
    result = curate(tmp_path / "a.warc.wet.gz")
    assert result.texts == [PROSE]
    assert result.errors == {"invalid_utf8": 1}


def test_a_page_that_is_nested_too_deep_is_quarantined(curate: Curate, tmp_path: Path) -> None:
    deep = record(b"<html><body>" + b"<div>" * 100_000 + b"deep")
    (tmp_path / "a.warc").write_bytes(GOOD + deep + GOOD)
    result = curate(tmp_path / "a.warc")
    assert (len(result.kept), result.errors) == (2, {"html_too_deep": 1})


@pytest.fixture
def extractor() -> Extractor:
    return Extractor(ExtractSection(max_cpu_s=20.0))


def test_a_page_that_needs_too_much_processor_time_is_given_up(curate: Curate, tmp_path: Path) -> None:
    # 40,000 links in one paragraph: many seconds for the extractor, within every other limit.
    slow = record(page("<b>" + "<a href='x'>y</a> z " * 40_000 + "</b>").encode())
    (tmp_path / "a.warc").write_bytes(GOOD + slow + GOOD)
    started = time.process_time()
    result = curate(tmp_path / "a.warc", settings={"extract": {"max_cpu_s": 0.3}})
    assert (len(result.kept), result.errors) == (2, {"extract_timeout": 1})
    assert [row["reproducible"] for row in result.quarantined] == [False]
    assert time.process_time() - started < 30


def test_a_child_that_dies_is_replaced(extractor: Extractor) -> None:
    try:
        assert extractor.extract(page().encode()) == PROSE
        child = extractor._child
        assert child is not None
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert extractor.extract(page().encode()) == PROSE
        assert extractor._child is not child
    finally:
        extractor.close()


def test_the_fast_engine_finds_the_main_text_too(curate: Curate, tmp_path: Path) -> None:
    menu = "<nav><ul><li><a href='/'>Home</a></li></ul></nav>"
    body = f"<html><body>{menu}<main><h1>Bridge</h1><p>{PROSE}</p></main><footer>imprint</footer></body></html>"
    (tmp_path / "a.warc").write_bytes(record(body.encode()) + record(b"<html><body></body></html>"))
    result = curate(tmp_path / "a.warc", settings={"extract": {"engine": "resiliparse"}})
    assert result.texts == [f"Bridge\n\n{PROSE}"]
    assert result.rules == {"no_main_text": 1}


def test_an_engine_that_does_not_start_is_the_machine(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmforge.curate.extract._WORKER", Path("/nowhere/worker.py"))
    with pytest.raises(MachineError, match=r"the extraction process ended at once \(status 2\)") as caught:
        extractor.extract(page().encode())
    assert "-c 'import trafilatura'" in str(caught.value.hint)


def test_a_page_that_kills_its_child_twice_is_named(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Extractor, "_ask", lambda self, page: {"error": "extract_crash"})
    with pytest.raises(ExtractError) as caught:
        extractor.extract(page().encode())
    assert (caught.value.error, caught.value.is_reproducible) == ("extract_crash", False)


def read_options(file: Path) -> ReadOptions:
    return ReadOptions(SourceSection(path=str(file)), 8 << 20)


@pytest.mark.slow
def test_a_real_crawl_is_read_without_loss(curate: Curate, real_data: Path) -> None:
    result = curate(real_data / "web" / "warc" / "aut" / "example.warc.gz")
    counts = result.manifest.counts
    assert counts["documents"]["quarantined"] == {}
    assert counts["measures"]["warc_request_records"] > 200
    assert counts["documents"]["kept"] == len(result.kept) > 90


def test_broken_archives_of_a_reader_library_are_survived(real_data: Path) -> None:
    outcomes = {}
    for file in sorted((real_data / "web" / "warc" / "warcio").iterdir()):
        items = read(InputFile(file, "s", file.name, file.stat().st_size), options := read_options(file))
        outcomes[file.name] = Counter(
            item.record.error if isinstance(item, BadItem) else item.verdict.rule if item.verdict else "page"
            for item in items
        )
        outcomes[file.name]["other"] = sum(count for name, count in options.measures.items() if name.startswith("warc"))
    assert outcomes["example.warc.gz"] == outcomes["example.warc"]
    assert outcomes["bad.arc"] == {"bad_content_length": 2, "warc.not_html": 1, "other": 0}
    assert outcomes["example-bad.warc.gz.bad"] == {"not_warc": 1, "other": 0}
    assert outcomes["example-trunc.warc"] == {"bad_content_length": 1, "other": 3}
    assert outcomes["example-wget-bad-target-uri.warc.gz"] == {"warc.not_html": 2, "page": 1, "other": 3}


@pytest.mark.slow
def test_extraction_agrees_with_the_gold_of_a_public_benchmark(curate: Curate, real_data: Path) -> None:
    with gzip.open(real_data / "web" / "wcxb_dev.gold.jsonl.gz") as lines:
        gold = {row["url"]: row for row in map(json.loads, lines)}
    result = curate(real_data / "web" / "wcxb_dev.warc.gz")
    found = {row["url"]: row["text"] for row in result.kept}
    scores = [word_f1(found.get(url, ""), row["main_content"]) for url, row in gold.items()]
    # 0.800 is what the extractor alone reaches on these pages.
    assert sum(scores) / len(scores) == pytest.approx(0.80, abs=0.02)


def word_f1(text: str, gold: str) -> float:
    """Harmonic mean of precision and recall over words with their numbers of occurrences."""
    mine, theirs = Counter(text.lower().split()), Counter(gold.lower().split())
    common = (mine & theirs).total()
    return 2 * common / (mine.total() + theirs.total()) if common else float(mine == theirs)
