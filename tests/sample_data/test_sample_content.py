"""What is in the sample: real, readable, counted, the same everywhere, and nothing of the machine."""

import csv
import gzip
import hashlib
import io
import json
import os
import pwd
import re
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from fastwarc.warc import ArchiveIterator, WarcRecordType

from llmforge.sample_data import make
from llmforge.sample_data.scrub import library_folders


def tree(folder: Path) -> dict[str, str]:
    """Relative path and hash of every file."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def decompressed(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file, taken out of its compression."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            elif path.suffix == ".zst":
                data = zstandard.ZstdDecompressor().decompress(data)
            yield path.relative_to(folder).as_posix(), data


def responses(folder: Path) -> Iterator[tuple[str, str]]:
    """URL and page of every response record."""
    for path in sorted((folder / "web").iterdir()):
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                yield record.headers["WARC-Target-URI"], record.reader.read().decode()


def test_two_environments_give_the_same_bytes(sample):
    assert tree(sample.folder) == tree(sample.elsewhere)


def test_nothing_of_the_surroundings_is_in_any_byte(sample):
    home = pwd.getpwuid(os.getuid()).pw_dir
    private = [b"hush-4711", b"planted", str(sample.folder.parent.parent).encode(), str(Path.cwd()).encode() + b"/"]
    private += [f"{name}/".encode() for name in library_folders()]
    # The texts speak of /usr and /usr/local of their own accord.
    private += [f"{name}/".encode() for name in (sys.prefix, sys.base_prefix) if not name.startswith("/usr")]
    private += [f"{home}/".encode(), os.uname().release.encode()]
    found = [
        (name, word)
        for folder in (sample.folder, sample.elsewhere)
        for name, data in decompressed(folder)
        for word in private
        if word in data
    ]
    assert found == []


def test_addresses_times_and_ports_are_gone_from_the_crawl(sample):
    for name, data in decompressed(sample.folder / "web"):
        assert not re.search(rb"0x[0-9a-f]{12}\b", data), name
        assert b"127.0.0.1:" not in data, name
        assert set(re.findall(rb"(?m)^WARC-Date: (.*)\r$", data)) == {b"2000-01-01T00:00:00Z"}, name
        assert set(re.findall(rb"(?m)^Date: (.*)\r$", data)) == {b"Sat, 01 Jan 2000 00:00:00 GMT"}, name


def test_the_server_saw_an_emptied_environment(sample):
    """One page prints the environment in which it was made: it shows three fixed settings."""
    page = dict(responses(sample.elsewhere))["http://pydoc.localhost/wsgiref.handlers.html"]
    assert "os_environ</strong> = {'LC_ALL': 'C', 'PYTHONHASHSEED': '0', 'PYTHONUTF8': '1'}" in page


def test_warc_digests_and_lengths_are_right(sample):
    kinds, urls = Counter(), []
    for path in sorted((sample.folder / "web").iterdir()):
        with open(path, "rb") as file:
            for record in ArchiveIterator(file, parse_http=False):
                kinds[record.headers["WARC-Type"]] += 1
                assert record.verify_block_digest(), record.record_id
                if record.record_type == WarcRecordType.response:
                    urls.append(record.headers["WARC-Target-URI"])
                    record.parse_http()
                    assert record.http_headers.status_code == 200
                    assert record.http_content_type == "text/html"
                    assert record.verify_payload_digest(), record.record_id
    pages = sample.corpora["web"].documents
    assert kinds == {
        "warcinfo": sample.corpora["web"].files,
        "response": pages,
        "request": pages,
    }
    assert len(set(urls)) == pages


def test_every_record_is_a_gzip_member_of_its_own(sample):
    path = sample.folder / "web" / "pydoc-00000.warc.gz"
    data, members = path.read_bytes(), 0
    while data:
        member = first_member(data)
        assert member[0].startswith(b"WARC/1.1\r\n")
        members, data = members + 1, member[1]
    assert members == gzip.decompress(path.read_bytes()).count(b"WARC/1.1\r\nWARC-Type")


def first_member(data: bytes) -> tuple[bytes, bytes]:
    """Content of the first gzip member, and what follows it."""
    decompressor = zlib.decompressobj(wbits=31)
    return decompressor.decompress(data), decompressor.unused_data


def test_a_request_names_its_response(sample):
    path = sample.folder / "web" / "pydoc-00000.warc.gz"
    answered = {}
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, parse_http=False):
            if record.record_type == WarcRecordType.response:
                answered[record.record_id] = record.headers["WARC-Target-URI"]
            elif record.record_type == WarcRecordType.request:
                assert answered[record.headers["WARC-Concurrent-To"]] == record.headers["WARC-Target-URI"]
                target = record.headers["WARC-Target-URI"].removeprefix("http://pydoc.localhost")
                assert record.reader.read().startswith(f"GET {target} HTTP/1.1\r\nHost: pydoc.localhost\r\n".encode())


def test_the_crawl_holds_real_pages_and_real_duplicates(sample):
    pages = dict(responses(sample.folder))
    assert len(pages) > 250
    assert sum(map(len, pages.values())) > 4_000_000
    assert "<title>Pydoc: module textwrap</title>" in pages["http://pydoc.localhost/textwrap.html"]
    assert "file:/python/lib/textwrap.py" in pages["http://pydoc.localhost/textwrap.html"]
    assert "boolean operations" in pages["http://pydoc.localhost/topic?key=and"].lower()
    text = {url: re.sub(r"<[^>]+>", "", page).split() for url, page in pages.items()}
    both = [set(text[f"http://pydoc.localhost/topic?key={key}"]) for key in ("PACKAGES", "IMPORTING")]
    assert len(both[0] & both[1]) / len(both[0] | both[1]) > 0.95
    listed = [url for url in pages if re.search(r"index\.html|search|/topic\?key=(os|sys|site|platform)$", url)]
    assert listed == []


def test_code_is_the_library_without_tests_and_built_files(sample):
    names = set(tree(sample.folder / "code"))
    assert {"textwrap.py", "json/decoder.py", "asyncio/tasks.py"} <= names
    odd = [name for name in names if re.search(r"(^|/)(tests?|site-packages|__pycache__)/|sysconfig|\.pyc$", name)]
    assert odd == []
    assert (sample.folder / "code" / "textwrap.py").read_bytes() == Path(os.__file__).with_name(
        "textwrap.py"
    ).read_bytes()
    assert 2_000_000 < sample.corpora["code"].bytes < 12_000_000


def test_docstrings_say_where_they_stand(sample):
    files = dict(decompressed(sample.folder / "docs")).values()
    rows = {row["name"]: row for data in files for row in map(json.loads, data.splitlines())}
    assert len(rows) > 3000
    wrap = rows["textwrap.TextWrapper.wrap"]
    assert wrap["kind"] == "function"
    assert wrap["url"] == "http://pydoc.localhost/textwrap.html#TextWrapper-wrap"
    assert wrap["text"].startswith("wrap(text : string) -> [string]")
    assert rows["textwrap.dedent"]["url"] == "http://pydoc.localhost/textwrap.html#-dedent"
    assert rows["textwrap"]["text"] == "Text wrapping and filling."
    page = dict(responses(sample.folder))["http://pydoc.localhost/textwrap.html"]
    assert 'name="TextWrapper-wrap"' in page
    assert 'name="-dedent"' in page


def test_crowd_results_have_the_columns_of_a_batch_and_disagree(sample):
    rows = list(csv.DictReader(io.StringIO((sample.folder / "crowd" / "batch_results.csv").read_text())))
    assert list(rows[0])[:7] == "HITId HITTypeId Title Description Keywords Reward CreationTime".split()
    assert Counter(row["AssignmentStatus"] for row in rows) == {"Approved": 152, "Rejected": 16, "Submitted": 12}
    assert {row["Title"] for row in rows} == {"llmforge sample: explain a Python term"}
    tasks = defaultdict(list)
    for row in rows:
        tasks[row["HITId"]].append(row)
    assert [len(task) for task in tasks.values()] == [3] * 60
    assert all(len({row["WorkerId"] for row in task}) == 3 for task in tasks.values())
    assert len({row["AssignmentId"] for row in rows}) == 180
    assert sum(len({row["Answer.category"] for row in task}) > 1 for task in tasks.values()) == 14
    for row in rows:
        assert bool(row["ApprovalTime"]) == (row["AssignmentStatus"] == "Approved")
        assert bool(row["RejectionTime"]) == (row["AssignmentStatus"] == "Rejected")


def test_crowd_columns_are_those_of_a_real_batch(sample, real_data):
    paths = (real_data / "mturk" / "requester_ui_header.csv", sample.folder / "crowd" / "batch_results.csv")
    header, ours = (next(csv.reader(path.read_text().splitlines())) for path in paths)
    assert [name for name in ours if not name.startswith(("Input.", "Answer."))] == header
    assert ours.index("Input.term") == ours.index("Last7DaysApprovalRate") + 1


def test_quoting_items_are_found_word_for_word_in_the_corpora(sample):
    items = [json.loads(line) for line in (sample.folder / "evaluation" / "items.jsonl").read_text().splitlines()]
    assert all(item["set"] == "llmforge sample" for item in items)
    quoting = [item for item in items if item["quotes"]]
    assert len(quoting) >= 10
    assert len(items) - len(quoting) == 12
    for item in quoting:
        sentence = item["question"].split("says the following? ")[1]
        assert len(sentence.split()) >= 16
        section = (sample.folder / "text" / f"{item['quotes']}.txt").read_text()
        assert sentence in " ".join(section.split())


@pytest.mark.parametrize("name", ["web", "code", "text", "docs", "crowd", "evaluation"])
def test_figures_are_those_on_disk(sample, name):
    corpus = sample.corpora[name]
    files = [path for path in (sample.folder / name).rglob("*") if path.is_file()]
    assert corpus.files == len(files) == len([path for path in sample.folder.glob(corpus.path) if path.is_file()])
    assert corpus.bytes == sum(path.stat().st_size for path in files)
    lines = sum(data.count(b"\n") for _, data in decompressed(sample.folder / name))
    expected = {"docs": lines, "evaluation": lines, "crowd": lines - 1, "web": len(dict(responses(sample.folder)))}
    assert corpus.documents == expected.get(name, len(files))


def test_a_second_run_is_up_to_date_and_quick(sample, monkeypatch, caplog):
    monkeypatch.setattr(make, "built_beside", None)  # building again would fail
    before = tree(sample.folder)
    start_s = time.monotonic()
    assert make.make_sample_data(sample.folder) == sample.corpora
    assert time.monotonic() - start_s < 2
    assert tree(sample.folder) == before
