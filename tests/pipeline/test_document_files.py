import gzip
import os
from pathlib import Path

import orjson
import pytest

from llmforge.core.documents import Document, document_id
from llmforge.core.errors import InputError
from llmforge.core.records import BadRecord
from llmforge.pipeline.document_files import find_document_files, find_files, read_document_file
from llmforge.pipeline.inputs import InputFile

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LIMIT = 1 << 20


def write(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path, column: str | None = None) -> list[Document | BadRecord]:
    file = InputFile(path, "books", path.name, path.stat().st_size)
    return list(read_document_file(file, column=column, max_record_bytes=LIMIT))


def test_a_folder_gives_its_data_files_by_locator(tmp_path: Path) -> None:
    folder = tmp_path / "books"
    for name in ("b/2.jsonl", "a.jsonl.gz", "b/10.ndjson", "notes.txt", ".hidden/x.jsonl", ".x.jsonl"):
        write(folder / name, {"text": name})
    pq.write_table(pa.table({"text": ["a"]}), folder / "c.parquet")
    files = find_document_files(str(folder))
    assert [file.locator for file in files] == ["a.jsonl.gz", "b/10.ndjson", "b/2.jsonl", "c.parquet"]
    assert {file.source for file in files} == {"books"}
    assert [file.num_bytes for file in files] == [(folder / file.locator).stat().st_size for file in files]


def test_a_file_and_a_pattern_are_relative_to_their_folder(tmp_path: Path) -> None:
    write(tmp_path / "books" / "part" / "a.jsonl", {"text": "a"})
    write(tmp_path / "books" / "part" / "b.jsonl", {"text": "b"})
    (one,) = find_document_files(str(tmp_path / "books" / "part" / "a.jsonl"))
    assert (one.source, one.locator) == ("a", "a.jsonl")
    several = find_document_files(str(tmp_path / "books" / "*" / "*.jsonl"))
    assert [(file.source, file.locator) for file in several] == [("books", "part/a.jsonl"), ("books", "part/b.jsonl")]


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(InputError, match="no such file or folder"):
        find_document_files(str(tmp_path / "absent"))
    with pytest.raises(InputError, match="no file matches"):
        find_document_files(str(tmp_path / "*.jsonl"))
    with pytest.raises(InputError, match="no JSON-lines or Parquet file among 1 files"):
        find_document_files(str(tmp_path))


def test_a_link_to_a_folder_above_gives_no_second_copy(tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.jsonl", {"text": "a"})
    os.symlink(tmp_path / "data", tmp_path / "data" / "loop")
    os.link(tmp_path / "data" / "a.jsonl", tmp_path / "data" / "b.jsonl")
    assert [file.locator for file in find_document_files(str(tmp_path / "data"))] == ["a.jsonl"]
    base, files = find_files(str(tmp_path / "data" / "**" / "*.jsonl"))
    assert [file.relative_to(base).as_posix() for file in files] == ["a.jsonl"]


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(InputError, match="not a regular file"):
        find_document_files(str(tmp_path / "pipe.jsonl"))
    with pytest.raises(InputError, match="no JSON-lines or Parquet file"):
        find_document_files(str(tmp_path))


def test_own_lines_stay_as_they_are(tmp_path: Path) -> None:
    own = Document("0" * 32, "some text", "elsewhere", "http://a/", {"language": "en", "nested": {"deep": [1]}})
    path = tmp_path / "a.jsonl"
    path.write_bytes(own.to_json() + b"\n")
    assert read(path) == [own]


def test_foreign_lines_get_an_id_and_keep_short_plain_values(tmp_path: Path) -> None:
    row = {
        "content": "some text",
        "url": "http://a/",
        "id": 7,
        "stars": 3.5,
        "ok": True,
        "long": "x" * 2000,
        "parts": [1, 2],
        "none": None,
        "meta": {"lang": "en", "deep": {"x": [1]}},
    }
    (document,) = read(write(tmp_path / "a.jsonl", row))
    identity = document_id("books", "a.jsonl#1", "some text")
    meta = {"id": 7, "stars": 3.5, "ok": True, "lang": "en"}
    assert document == Document(identity, "some text", "books", "http://a/", meta)


def test_equal_texts_at_two_places_are_two_documents(tmp_path: Path) -> None:
    first, second = read(write(tmp_path / "a.jsonl.gz", {"text": "same"}, {"text": "same"}))
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert first.id != second.id


def test_a_named_column_is_the_only_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"text": "a", "body": "b"}, {"text": "a"})
    found, missing = read(path, column="body")
    assert isinstance(found, Document)
    assert (found.text, found.meta) == ("b", {"text": "a"})
    assert isinstance(missing, BadRecord)
    assert missing.error == "missing_text"


def test_parquet_and_json_lines_give_the_same_documents(tmp_path: Path) -> None:
    rows = [{"text": "a", "stars": 1}, {"text": "b", "stars": 2}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    from_parquet = read(tmp_path / "a.parquet")
    from_lines = read(write(tmp_path / "a.jsonl", *rows))
    assert [(d.text, d.meta) for d in from_parquet if isinstance(d, Document)] == [
        ("a", {"stars": 1}),
        ("b", {"stars": 2}),
    ]
    assert [(d.text, d.meta) for d in from_lines if isinstance(d, Document)] == [
        ("a", {"stars": 1}),
        ("b", {"stars": 2}),
    ]
