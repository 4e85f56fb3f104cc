"""Files behind a URL: memory:// in this process, and a web server for two workers."""

import gzip
import http.server
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from curating import PROSE, Result, run_curate

from llmforge.config.curate import CurateSection, SourceSection
from llmforge.core.errors import InputError, MachineError, SettingsError
from llmforge.curate.remote import find_remote_files
from llmforge.curate.sources import find_inputs, name_sources

Curate = Callable[..., Result]


def lines(name: str, count: int) -> bytes:
    return b"".join(json.dumps({"text": f"{name} {n} {PROSE}"}).encode() + b"\n" for n in range(count))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A store in memory with two files in a folder and one in a folder below."""
    system = fsspec.filesystem("memory")
    system.pipe("/crawl/a.jsonl.gz", gzip.compress(lines("a", 3)))
    system.pipe("/crawl/b.jsonl", lines("b", 2) + b"junk\n")
    system.pipe("/crawl/more/c.jsonl", lines("c", 1))
    yield system
    system.rm("/crawl", recursive=True)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The address of a web server over tmp_path/site."""
    (tmp_path / "site").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _quiet(tmp_path / "site"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def _quiet(folder: Path) -> Callable[..., http.server.SimpleHTTPRequestHandler]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return partial(Handler, directory=str(folder))


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("memory://crawl", ["a", "a", "a", "b", "b", "c"]),
        ("memory://crawl/*.gz", ["a", "a", "a"]),
        ("memory://crawl/b.jsonl", ["b", "b"]),
        ("memory://crawl/**/c.jsonl", ["c"]),
    ],
)
def test_a_folder_a_pattern_and_a_file_of_a_store(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, url: str, names: list[str]
) -> None:
    result = run_curate(tmp_path / "run", [{"path": url}])
    assert [text[0] for text in result.texts] == names
    assert result.errors == ({"bad_json": 1} if "b" in names else {})
    assert not list((tmp_path / "run").rglob("fetched"))


def test_the_same_files_are_the_same_documents_wherever_they_lie(
    memory: fsspec.AbstractFileSystem, web: str, tmp_path: Path
) -> None:
    local = tmp_path / "site" / "crawl"
    local.mkdir()
    (local / "b.jsonl").write_bytes(memory.cat("/crawl/b.jsonl"))
    places = ["memory://crawl/b.jsonl", str(local / "b.jsonl"), f"file://{local}/b.jsonl", f"{web}/crawl/b.jsonl"]
    found = [run_curate(tmp_path / f"run{n}", [{"path": place}]).kept for n, place in enumerate(places)]
    assert found[0] == found[1] == found[2] == found[3]
    assert len(found[0]) == 2


def test_two_workers_fetch_from_the_web_and_write_the_same_bytes(web: str, tmp_path: Path) -> None:
    sources = []
    for name in "ab":
        (tmp_path / "site" / f"{name}.jsonl").write_bytes(lines(name, 20))
        sources.append({"path": f"{web}/{name}.jsonl?key=1", "name": name})
    outputs = [run_curate(tmp_path / str(n), sources, workers=n).manifest.outputs for n in (1, 2)]
    assert outputs[0] == outputs[1]
    (tmp_path / "site" / "a.jsonl").write_bytes(lines("a", 21))
    with pytest.raises(InputError, match=r"a:a\.jsonl"):
        run_curate(tmp_path / "1", sources)


def test_a_remote_file_that_changes_stops_the_stage(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    from llmforge.curate.remote import fetched

    (file,) = find_inputs(CurateSection(sources=(SourceSection(path="memory://crawl/b.jsonl"),))).files
    memory.pipe("/crawl/b.jsonl", lines("b", 5))
    with pytest.raises(InputError, match=r"b\.jsonl: changed since the stage began"), fetched(file, tmp_path / "f"):
        pass


def test_what_is_not_there_is_named(memory: fsspec.AbstractFileSystem, web: str) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        find_remote_files("memory://nowhere/x.jsonl", "s")
    with pytest.raises(InputError, match="no file matches"):
        find_remote_files("memory://crawl/*.warc", "s")
    with pytest.raises(InputError, match="no such file"):
        find_remote_files(f"{web}/x.jsonl", "s")
    with pytest.raises(MachineError, match=r"cannot be read \("):
        find_remote_files("http://127.0.0.1:9/x.jsonl", "s")
    with pytest.raises(SettingsError, match="Protocol not known"):
        find_remote_files("nosuch://a/b", "s")
    with pytest.raises(MachineError, match="install"):
        find_remote_files("gdrive://a/b", "s")


def test_a_source_is_named_after_its_url() -> None:
    paths = ("https://a.org/x/pages.jsonl.gz?key=1", "memory://crawl", "s3://bucket/crawl-7/*.warc.gz")
    assert name_sources(tuple(SourceSection(path=path) for path in paths)) == ["pages", "crawl", "crawl-7"]


def test_members_of_archives_are_read_and_none_is_written_where_its_name_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name in ("../../evil.jsonl", "ok/a.jsonl", "notes.txt"):
            archive.writestr(name, lines(name, 1))
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        link, member = tarfile.TarInfo("link.jsonl"), tarfile.TarInfo("b.jsonl")
        link.type, link.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", len(lines("b", 1))
        archive.addfile(link)
        archive.addfile(member, io.BytesIO(lines("b", 1)))
    sources = [
        {"path": f"{url}::{tmp_path}/x.{kind}"} for kind, url in (("zip", "zip://**/*.jsonl"), ("tar", "tar://*"))
    ]
    run = tmp_path / "deep" / "down" / "run"
    result = run_curate(run, sources)
    assert [text.split()[0] for text in result.texts] == ["../../evil.jsonl", "ok/a.jsonl", "b"]
    assert [path for path in tmp_path.rglob("*.jsonl") if path.is_file()] == []


def test_one_member_of_an_archive_can_be_named_whatever_its_ending(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jsonl", lines("a", 2))
        archive.writestr("deep/odd", lines("odd", 3))
    root = {"path": f"zip://a.jsonl::{tmp_path}/x.zip"}
    deep = {"path": f"zip://deep/odd::file://{tmp_path}/x.zip", "type": "jsonl"}
    result = run_curate(tmp_path / "run", [root, deep])
    assert [text.split()[0] for text in result.texts] == ["a", "a", "odd", "odd", "odd"]
