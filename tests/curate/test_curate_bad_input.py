"""Bad input of every kind: counted, named and survived; what is sound beside it all comes through."""

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from curating import PROSE, Result, run_curate

from llmforge.config.curate import CurateSection, SourceSection
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, SettingsError
from llmforge.curate.readers.table import choose_type
from llmforge.curate.sources import find_inputs, is_dataset
from llmforge.curate.stage import CURATE

Curate = Callable[..., Result]


def jsonl(count: int) -> bytes:
    return b"".join(json.dumps({"text": f"text {number} {'x' * 50}"}).encode() + b"\n" for number in range(count))


def test_a_missing_file_is_named(curate: Curate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.jsonl: no such file or folder"):
        curate(tmp_path / "nowhere.jsonl")


def test_a_pattern_without_a_match_is_named(curate: Curate, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\*\.jsonl: no file matches"):
        curate(tmp_path / "*.jsonl")


def test_a_folder_without_a_known_file_is_named(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.xyz").write_text("x")
    with pytest.raises(InputError, match="no reader knows the endings of its 1 files"):
        curate(tmp_path / "in")
    with pytest.raises(InputError, match="none of its 1 files is of type jsonl"):
        curate(tmp_path / "in", type="jsonl")


def test_an_empty_folder_is_named(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(InputError, match="no file in this folder"):
        curate(tmp_path)


def test_a_misspelt_path_is_no_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "texts").mkdir()
    monkeypatch.chdir(tmp_path)
    assert not is_dataset(SourceSection(path="texts/boks"))
    with pytest.raises(InputError, match=r"texts/boks: no such file or folder\n  hint: .*`type: huggingface`"):
        run_curate(tmp_path / "run", [{"path": "texts/boks"}])
    assert is_dataset(SourceSection(path="texts/boks", type="huggingface"))
    assert is_dataset(SourceSection(path="org/name"))


def test_the_reason_for_a_type_names_the_endings_that_were_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n" * 9)
    (tmp_path / "b.adb").write_text("")
    files = find_inputs(CurateSection(sources=(SourceSection(path=str(tmp_path)),))).files
    assert choose_type(str(tmp_path), files) == ("code", "files that end in .py or .adb hold most of the bytes")


def test_two_kinds_of_data_files_need_two_sources(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(jsonl(1))
    (tmp_path / "in" / "b.csv").write_text("HITId\n")
    with pytest.raises(InputError, match=r"several kinds side by side \(jsonl, csv\)"):
        curate(tmp_path / "in")


def test_sources_have_names_of_their_own_and_there_is_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"curate\.sources: no source"):
        run_curate(tmp_path / "run", [])
    with pytest.raises(SettingsError, match="the name 'a' is given twice"):
        run_curate(tmp_path / "run", [{"path": str(tmp_path), "name": "a"}, {"path": str(tmp_path), "name": "a"}])


@pytest.mark.parametrize("name", ["a.txt", "a.py", "a.jsonl", "a.jsonl.gz", "a.csv", "a.warc"])
def test_an_empty_file_is_a_counted_drop(curate: Curate, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / "full.txt").write_text(PROSE)
    result = curate(tmp_path / name, tmp_path / "full.txt")
    counts = result.manifest.counts["by_source"]["s0"]["documents"]
    assert (counts["in"], counts["dropped"]) == (1, {"empty_file": 1})


def test_a_parquet_file_without_bytes_is_a_broken_one(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").touch()
    (tmp_path / "full.txt").write_text(PROSE)
    assert curate(tmp_path / "a.parquet", tmp_path / "full.txt").errors == {"bad_container": 1}


def test_truncated_gzip_keeps_what_was_read(curate: Curate, tmp_path: Path) -> None:
    data = gzip.compress(os.urandom(1 << 16).hex().encode() + b"\n" + jsonl(1))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(jsonl(50)) + data[: len(data) // 2])
    result = curate(tmp_path / "a.jsonl.gz")
    assert len(result.kept) == 50
    assert result.errors == {"truncated_gzip": 1}


def test_truncated_zstd_is_noticed(curate: Curate, tmp_path: Path) -> None:
    whole = zstandard.ZstdCompressor(write_checksum=True).compress(jsonl(50))
    tail = zstandard.ZstdCompressor(write_checksum=True).compress(jsonl(5000))
    (tmp_path / "a.jsonl.zst").write_bytes(whole + tail[:-20])
    result = curate(tmp_path / "a.jsonl.zst")
    assert len(result.kept) >= 50
    assert result.errors["truncated_zstd"] == 1


def test_zstd_without_a_checksum_is_a_warning(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.ZstdCompressor(write_checksum=False).compress(jsonl(5)))
    result = curate(tmp_path / "a.jsonl.zst")
    assert len(result.kept) == 5
    assert any("1 zstd frames carry no checksum" in line for line in result.manifest.warnings)


def test_lines_that_are_no_documents_are_named_one_by_one(curate: Curate, tmp_path: Path) -> None:
    lines = {
        "invalid_utf8": b'{"text": "\xff\xfe"}',
        "nul_character": b'{"text": "a\\u0000b"}',
        "lone_surrogate": b'{"text": "\\ud800"}',
        "nan_literal": b'{"text": "a", "score": NaN}',
        "bad_number": b'{"text": "a", "n": 1e999}',
        "nesting_too_deep": b'{"text": "a", "x": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        "missing_text": b'{"body": "a"}',
        "wrong_type": b'{"text": ["a"]}',
        "bad_json": b'{"text": "a"',
        "duplicate_key": b'{"text": "a", "meta": {"n": 1, "n": 2}}',
        "record_too_large": b'{"text": "' + b"x" * 5000 + b'"}',
    }
    body = b"\n".join([b'{"text": "first"}', b"", *lines.values(), '{"text": "one\u2028line\u0085"}'.encode()])
    (tmp_path / "a.jsonl").write_bytes(body)
    result = curate(tmp_path / "a.jsonl", settings={"max_record_bytes": 4500})
    assert result.errors == dict.fromkeys(lines, 1)
    assert result.texts == ["first", "one\u2028line\u0085"]
    assert result.manifest.counts["measures"]["blank_lines"] == 1
    for row in result.quarantined:
        line = lines[row["error"]]
        assert (row["offset"], row["num_bytes"]) == (body.index(b"\n" + line + b"\n") + 1, len(line))
        assert row["locator"] == "a.jsonl"
        assert row["reproducible"] is True
        assert len(row["sha256"]) == 64


def test_a_byte_order_mark_is_taken_off_and_utf16_refused(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + jsonl(2))
    (tmp_path / "b.jsonl").write_bytes(jsonl(2).decode().encode("utf-16"))
    (tmp_path / "c.txt").write_bytes(b"\xef\xbb\xbf" + PROSE.encode())
    result = curate(tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.txt")
    assert len(result.kept) == 3
    assert result.kept[2]["text"] == PROSE
    assert result.errors == {"unexpected_encoding": 1}


def test_text_files_with_bad_bytes_are_quarantined_whole(curate: Curate, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"good")
    (folder / "b.txt").write_bytes(b"bad \xff")
    (folder / "c.txt").write_bytes(b"nul \0")
    (folder / "d.txt").write_bytes(b"x" * 3000)
    result = curate(folder, settings={"max_record_bytes": 2048})
    assert result.errors == {"invalid_utf8": 1, "nul_character": 1, "record_too_large": 1}
    assert {row["error"]: row["offset"] for row in result.quarantined}["invalid_utf8"] == 4


MEMORY_OF_A_LONG_LINE = """
import resource, sys
from collections import Counter
from pathlib import Path
from llmforge.core.jsonl import read_jsonl
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
errors = Counter(getattr(record, "error", "good") for record in read_jsonl(Path(sys.argv[1]), max_record_bytes=8 << 20))
print(dict(errors), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_line_of_100_mb_costs_one_record_and_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with open(file, "wb") as lines:
        lines.write(jsonl(1))
        for _ in range(100):
            lines.write(b"x" * 1_000_000)
        lines.write(b"\n" + jsonl(1))
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", MEMORY_OF_A_LONG_LINE, str(file)]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": root}
    ).stdout
    errors, megabytes = answer.rsplit(" ", 1)
    assert errors == "{'good': 2, 'record_too_large': 1}"
    assert int(megabytes) < 40


def test_links_are_not_followed_and_a_file_is_taken_once(curate: Curate, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("only once")
    (folder / "deep" / "loop").symlink_to(folder)
    os.link(folder / "a.txt", folder / "deep" / "hard.txt")
    (folder / "deep" / "outside.txt").symlink_to("/etc/passwd")
    assert curate(folder).texts == ["only once"]
    assert curate(tmp_path / "in" / "**" / "*.txt", type="text").texts == ["only once"]


def test_what_is_no_regular_file_is_refused_or_left_out(curate: Curate, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe.txt")
    (folder / "folder.txt").mkdir()
    (folder / "a.txt").write_text("good")
    assert curate(folder).texts == ["good"]
    with pytest.raises(InputError, match=r"pipe\.txt: not a regular file"):
        curate(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)
        server.bind("s.txt")
        with pytest.raises(InputError, match=r"s\.txt: not a regular file"):
            curate(folder / "s.txt")


def test_a_file_without_rights_is_named(curate: Curate, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    (tmp_path / "a.txt").write_text("secret")
    (tmp_path / "a.txt").chmod(0)
    with pytest.raises(InputError, match=r"a\.txt: cannot be read"):
        curate(tmp_path / "a.txt")


def test_names_of_any_bytes_are_read_and_spelled_out(curate: Curate, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    names = [b"\xff\xfe.txt", b"a\nb.txt", b"\x1b[31m.txt", b"x" * 250 + b".txt"]
    for name in names:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(PROSE)
    result = curate(folder)
    paths = [row["meta"]["path"] for row in result.kept]
    assert sorted(paths) == sorted(["\\xff\\xfe.txt", "a\nb.txt", "\x1b[31m.txt", "x" * 250 + ".txt"])


def test_too_many_bad_records_stop_the_stage(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(98) + b"bad\n" * 2)
    with pytest.raises(InputError, match=r"2 of 100 records are bad \(bad_json 2\); allowed is a share of 0.01"):
        curate(tmp_path / "a.jsonl", settings={"max_bad_fraction": 0.01})
    assert len(curate(tmp_path / "a.jsonl", settings={"max_bad_fraction": 0.02}).kept) == 98


def test_a_raised_limit_on_bad_records_goes_on_with_what_is_done(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(98) + b"bad\n" * 2)
    sources = [{"path": str(tmp_path / "a.jsonl"), "name": "s"}]
    with pytest.raises(InputError):
        run_curate(tmp_path / "run", sources, max_bad_fraction=0.01)
    (written,) = (tmp_path / "run" / "curate.partial" / "data").iterdir()
    at = written.stat().st_mtime_ns
    result = run_curate(tmp_path / "run", sources, max_bad_fraction=0.02)
    assert len(result.kept) == 98
    assert (result.folder / "data" / written.name).stat().st_mtime_ns == at


def test_a_source_without_any_text_is_told_to_name_its_key(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"body": "a"}\n{"body": "b"}\n')
    (tmp_path / "b.jsonl").write_bytes(jsonl(2))
    with pytest.raises(InputError, match="source 's0': none of its 2 records has a text") as caught:
        curate(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert "`column`" in str(caught.value.hint)
    assert curate(tmp_path / "a.jsonl", column="body").texts == ["a", "b"]


def test_nothing_left_is_an_error(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match=r"no document is left of 1 \(empty_file 1\)"):
        curate(tmp_path / "a.txt")
    (tmp_path / "b.jsonl").write_bytes(jsonl(2) + b"bad\n")
    with pytest.raises(InputError, match=r"left of 3 \(gopher_quality.too_few_words 2, bad_json 1\)"):
        curate(tmp_path / "b.jsonl", settings={"filters": [{"rule": "gopher_quality", "min_words": 500}]})


def test_a_parquet_file_without_a_text_column_names_its_columns(curate: Curate, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"body": ["a"], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'text' or 'content' or 'raw_content'; it has 'body', 'n'"):
        curate(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="column 'n' holds int64, not text"):
        curate(tmp_path / "a.parquet", column="n")
    assert curate(tmp_path / "a.parquet", column="body").texts == ["a"]


def test_a_cut_parquet_file_is_one_bad_container(curate: Curate, tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "in"
    folder.mkdir()
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"]}), folder / "a.parquet")
    whole = (folder / "a.parquet").read_bytes()
    (folder / "b.parquet").write_bytes(whole[: len(whole) // 2])
    result = curate(folder)
    assert result.texts == ["a", "b"]
    assert result.errors == {"bad_container": 1}


def test_a_file_that_changes_while_it_is_read_stops_the_stage(
    curate: Curate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmforge.curate.readers import jsonl as reader

    file = tmp_path / "a.jsonl"
    file.write_bytes(jsonl(2))
    read_jsonl = reader.read_jsonl

    def grow(*args: object, **kwargs: object) -> object:
        file.write_bytes(jsonl(3))
        return read_jsonl(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "read_jsonl", grow)
    with pytest.raises(InputError, match=r"a\.jsonl: changed while it was read"):
        curate(file)


def test_the_stage_says_what_it_will_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(1))
    settings = Settings.model_validate({"curate": {"sources": ({"path": str(tmp_path / "a.jsonl")},)}})
    inputs = CURATE.find_inputs(settings, tmp_path)
    assert [(file.source, file.locator) for file in inputs.files] == [("a", "a.jsonl")]
