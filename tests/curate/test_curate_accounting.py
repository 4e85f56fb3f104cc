"""Every record that comes in is kept, dropped, quarantined or merged, whatever comes in and however many workers."""

import csv
import gzip
import io
import random
import tempfile
from pathlib import Path
from typing import Any

import orjson
from curating import PROSE, Result, run_curate
from hypothesis import given, settings
from hypothesis import strategies as st

PAGE = f"<html><body><main><h1>Bridge</h1><p>{PROSE}</p><p>{PROSE}</p></main></body></html>".encode()


def warc_record(body: bytes, kind: str = "response", length: int | None = None) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a/\r\nContent-Type: application/http\r\n"
    return f"{head}Content-Length: {len(http) if length is None else length}\r\n\r\n".encode() + http + b"\r\n\r\n"


def crowd_csv(statuses: list[str]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(["HITId", "AssignmentId", "WorkerId", "AssignmentStatus", "Answer.text"])
    writer.writerows([f"H{n // 3}", f"A{n}", f"W{n % 5}", status, PROSE] for n, status in enumerate(statuses))
    return target.getvalue().encode()


def jsonl(*values: Any) -> bytes:
    return b"".join(orjson.dumps(value) + b"\n" for value in values)


good_lines = st.sampled_from([jsonl({"text": PROSE}), jsonl({"text": "short"}), jsonl({"content": PROSE, "url": "u"})])
bad_lines = st.sampled_from(
    [b"\xff\xfe\n", b'{"text": NaN}\n', b'{"text"\n', b"[]\n", b"\n", jsonl({"no": 1}), jsonl({"text": "a\0"})]
)
records = st.sampled_from(
    [warc_record(PAGE), warc_record(b"", kind="request"), warc_record(PAGE, length=10**6), warc_record(PAGE, length=3)]
)
rows = st.lists(st.sampled_from(["Approved", "Rejected", "Submitted", 'Appr"oved']), max_size=9).map(crowd_csv)
contents = {
    "a.jsonl": st.lists(st.one_of(good_lines, bad_lines, st.binary(max_size=40)), max_size=9).map(b"".join),
    "b.warc": st.lists(st.one_of(records, st.binary(max_size=40)), max_size=5).map(b"".join),
    "c.csv": rows,
    "d.txt": st.one_of(st.just(PROSE.encode()), st.binary(max_size=60)),
    "e.py": st.one_of(st.just(b"print(1)\n"), st.binary(max_size=60)),
}


@st.composite
def hostile_files(draw: st.DrawFn) -> dict[str, bytes]:
    """A file of each kind: sound records and junk between them, whole or cut, plain or compressed."""
    files = {}
    for name, content in contents.items():
        data = draw(content)
        if name in ("a.jsonl", "b.warc") and draw(st.booleans()):
            name, data = f"{name}.gz", gzip.compress(data)
        if draw(st.booleans()):
            data = data[: draw(st.integers(0, max(len(data), 1)))]
        files[name] = data
    return files


def run(folder: Path, files: dict[str, bytes], **options: Any) -> Result:
    """One source a file, and one sound document besides, so that something is always left."""
    sources = []
    for name, data in {**files, "sound.txt": PROSE.encode()}.items():
        (folder / name).write_bytes(data)
        sources.append({"path": str(folder / name), "name": f"source-{name[0]}"})
    return run_curate(folder / "run", sources, filters=({"rule": "gopher_quality"},), **options)


@settings(max_examples=25)
@given(files=hostile_files())
def test_what_comes_in_comes_out_somewhere(files: dict[str, bytes]) -> None:
    if "c.csv" in files and b"Answer.text\r\n" not in files["c.csv"]:
        files["c.csv"] = crowd_csv([])  # a cut header is an error of its own, tested elsewhere
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), files)
    for name, account in result.manifest.counts["by_source"].items():
        for unit in ("documents", "bytes"):
            flow = account[unit]
            out = flow["kept"] + sum(flow["dropped"].values()) + sum(flow["quarantined"].values()) + flow["merged"]
            assert flow["in"] == out + flow["edited"], (name, unit, flow)
        documents = account["documents"]
        assert documents["kept"] == sum(row["source"] == name for row in result.kept)
        assert sum(documents["dropped"].values()) == sum(row["source"] == name for row in result.dropped)
        assert sum(documents["quarantined"].values()) == sum(row["source"] == name for row in result.quarantined)
    assert len({row["id"] for row in result.kept}) == len(result.kept)


def test_one_and_two_workers_write_the_same_bytes(tmp_path: Path) -> None:
    draw = random.Random(5)
    files = {
        "a.jsonl.gz": gzip.compress(b"".join(jsonl({"text": f"{n} {PROSE}"}) for n in range(40)) + b"junk\n", mtime=0),
        "b.warc": b"".join(warc_record(PAGE.replace(b"stone", b"brick %d" % n)) for n in range(6)),
        "c.csv": crowd_csv([draw.choice(["Approved", "Rejected"]) for _ in range(30)]),
        "e.py": b"print(1)\n",
    }
    outputs = []
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        folder.mkdir()
        result = run(folder, files, workers=workers)
        outputs.append({output.path: output.sha256 for output in result.manifest.outputs})
        assert result.manifest.counts["documents"]["kept"] == len(result.kept) > 50
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 4 * 5


def test_a_limit_takes_the_first_documents_for_any_number_of_workers(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    folder.mkdir()
    for part in range(3):
        (folder / f"{part}.jsonl").write_bytes(b"".join(jsonl({"text": f"{part} {n} {PROSE}"}) for n in range(10)))
    for workers in (1, 2):
        result = run_curate(tmp_path / str(workers), [{"path": str(folder), "limit": 14}], workers=workers)
        assert [text[:3] for text in result.texts] == [f"{n // 10} {n % 10}" for n in range(14)]
        assert result.manifest.counts["documents"]["in"] == 14


def test_code_is_not_judged_as_prose_and_the_manifest_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, {"prose.txt": b"too short", "code.py": b"x = 1\n"}, language={"keep": ("en",)})
    assert result.texts == ["x = 1\n", PROSE]
    assert [row["text"] for row in result.dropped] == ["too short"]
    described = result.manifest.results["sources"]
    assert {name: (facts["kind"], facts["rules"]) for name, facts in described.items()} == {
        "source-p": ("prose", ["language", "gopher_quality"]),
        "source-c": ("code", []),
        "source-s": ("prose", ["language", "gopher_quality"]),
    }


def test_a_rule_that_never_fires_is_a_warning(tmp_path: Path) -> None:
    result = run(tmp_path, {"d.txt": PROSE.encode()})
    assert result.manifest.warnings == ["gopher_quality judged 2 documents and dropped none"]
