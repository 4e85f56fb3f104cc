"""Every record that comes in is kept, dropped, quarantined or merged, whatever comes in and however many workers."""

import csv
import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from curating import PROSE, Result, run_curate
from hypothesis import given, settings
from hypothesis import strategies as st

from llmforge.config.load import load_settings
from llmforge.curate.stage import CURATE
from llmforge.pipeline.build import BuildOptions, build_stage

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


def arc_record(body: bytes, length: int | None = None) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    return b"http://a/ 10.0.0.1 20080430204825 text/html %d\n%s\n" % (len(http) if length is None else length, http)


arc_records = st.sampled_from([arc_record(PAGE), arc_record(PAGE, 10**6), arc_record(PAGE, 3), arc_record(b"")])
rows = st.lists(st.sampled_from(["Approved", "Rejected", "Submitted", 'Appr"oved']), max_size=9).map(crowd_csv)
lines = st.lists(st.one_of(good_lines, bad_lines, st.binary(max_size=40)), max_size=9).map(b"".join)
contents = {
    # A source without any text under its key is an error of its own, tested elsewhere.
    "a.jsonl": st.tuples(good_lines, lines).map(b"".join),
    "b.warc": st.lists(st.one_of(records, st.binary(max_size=40)), max_size=5).map(b"".join),
    "c.csv": rows,
    "d.txt": st.one_of(st.just(PROSE.encode()), st.binary(max_size=60)),
    "f.arc": st.lists(st.one_of(arc_records, st.binary(max_size=40)), max_size=4).map(b"".join),
    "e.py": st.one_of(st.just(b"print(1)\n"), st.binary(max_size=60)),
}


@st.composite
def hostile_files(draw: st.DrawFn) -> dict[str, bytes]:
    """A file of each kind: sound records and junk between them, whole or cut, plain or compressed."""
    files = {}
    for name, content in contents.items():
        data = draw(content)
        if name in ("a.jsonl", "b.warc", "f.arc") and draw(st.booleans()):
            name, data = f"{name}.gz", gzip.compress(data)
        if draw(st.booleans()):
            data = data[: draw(st.integers(0, max(len(data), 1)))]
        files[name] = data
    return files


def run(folder: Path, files: dict[str, bytes], **options: Any) -> Result:
    """One source a file, and one sound document besides, so that something is always left."""
    folder.mkdir(exist_ok=True)
    sources = []
    for name, data in {**files, "sound.txt": PROSE.encode()}.items():
        (folder / name).write_bytes(data)
        sources.append({"path": str(folder / name), "name": f"source-{name[0]}"})
    # A rule that edits stands before one that judges what it left, and one that measures the lines it took out.
    filters = ({"rule": "c4@code", "terminal_punctuation": False}, {"rule": "pii"}, {"rule": "gopher_quality"})
    return run_curate(folder / "run", sources, **{"filters": filters, **options})


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


def many_files(folder: Path) -> list[dict[str, Any]]:
    """Sources of all kinds, a shard each, some of them with bad records."""
    folder.mkdir()
    sources = []
    for number in range(10):
        texts = [PROSE.replace("stone", f"brick {number} {place}") for place in range(60)]
        body = b"".join(jsonl({"text": f"{text}\nMenu\nWrite to me@example{number}.org today."}) for text in texts)
        (folder / f"{number}.jsonl").write_bytes(body + b"junk\n" * (number % 3))
        sources.append({"path": str(folder / f"{number}.jsonl"), "name": f"s{number}"})
    return sources


EDITING = ({"rule": "c4@code"}, {"rule": "pii"}, {"rule": "gopher_quality", "min_words": 58})


def test_sources_in_another_order_are_the_same_shards(tmp_path: Path) -> None:
    sources = many_files(tmp_path / "in")
    hashes = []
    for order in (sources, sources[::-1], random.Random(3).sample(sources, len(sources))):
        result = run_curate(tmp_path / f"run{len(hashes)}", order, filters=EDITING)
        hashes.append(sorted((output.path.split("/")[0], output.sha256) for output in result.manifest.outputs))
        assert result.manifest.counts["bytes"]["edited"] > 0
    assert hashes[0] == hashes[1] == hashes[2]


def test_killed_and_resumed_is_the_same_bytes(tmp_path: Path) -> None:
    sources = many_files(tmp_path / "in")
    config = tmp_path / "c.json"
    config.write_bytes(
        orjson.dumps(
            {
                "run": {"dir": str(tmp_path), "name": "killed", "workers": 2},
                "curate": {"sources": sources, "filters": EDITING, "max_bad_fraction": 1.0},
            }
        )
    )
    command = [sys.executable, "-m", "llmforge", "curate", "-c", str(config)]
    records = tmp_path / "killed" / "curate.partial" / "records"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL, env=environment)
    deadline = time.monotonic() + 120
    while len(list(records.glob("*.json"))) < 3 and time.monotonic() < deadline and child.poll() is None:
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    settings_of_run = load_settings(config, ()).settings
    built = build_stage(CURATE, settings_of_run, tmp_path / "killed", BuildOptions())
    clean = run_curate(tmp_path / "clean", sources, filters=EDITING)
    assert built.manifest.outputs == clean.manifest.outputs
    assert built.manifest.counts == clean.manifest.counts


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
    files = {"prose.txt": b"too short", "code.py": b"x = 1\n"}
    result = run(tmp_path, files, language={"keep": ("en",)}, filters=({"rule": "gopher_quality"},))
    assert result.texts == ["x = 1\n", PROSE]
    assert [row["text"] for row in result.dropped] == ["too short"]
    described = result.manifest.results["sources"]
    assert {name: (facts["kind"], facts["rules"]) for name, facts in described.items()} == {
        "source-p": ("prose", ["language", "gopher_quality"]),
        "source-c": ("code", []),
        "source-s": ("prose", ["language", "gopher_quality"]),
    }


def test_a_rule_that_never_fires_is_a_warning(tmp_path: Path) -> None:
    result = run(tmp_path, {"d.txt": PROSE.encode()}, filters=({"rule": "gopher_quality"},))
    assert result.manifest.warnings == ["gopher_quality judged 2 documents and dropped or changed none"]


def test_a_rule_that_is_made_for_other_content_than_there_is_is_a_warning(tmp_path: Path) -> None:
    result = run(tmp_path, {"d.txt": b"too short"}, filters=({"rule": "gopher_quality"}, {"rule": "stack@v2"}))
    assert result.manifest.warnings[1:] == ["stack@v2 judged no document: it is made for code"]
    with_code = run(tmp_path / "code", {"e.py": b"print(1)\n"}, filters=({"rule": "stack@v2"},))
    assert with_code.manifest.warnings == ["stack@v2 judged 1 documents and dropped or changed none"]
