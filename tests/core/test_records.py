import gzip
import hashlib
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from llmforge.core.errors import InputError
from llmforge.core.jsonl import parse_object, read_jsonl
from llmforge.core.parquet import read_parquet
from llmforge.core.records import BadRecord, Record, find_text

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LIMIT = 1 << 20
LINES = [json.dumps({"text": f"document {n}", "noise": random.Random(n).random()}).encode() for n in range(6000)]
CONTENT = b"\n".join(LINES) + b"\n"


def zstd(data: bytes, checksum: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=checksum).compress(data)


def read(folder: Path, name: str, data: bytes, limit: int = LIMIT) -> tuple[list[Record], list[BadRecord], Counter]:
    path = folder / name
    path.write_bytes(data)
    measures: Counter[str] = Counter()
    items = list(read_jsonl(path, max_record_bytes=limit, measures=measures))
    good = [item for item in items if isinstance(item, Record)]
    return good, [item for item in items if isinstance(item, BadRecord)], measures


def flip_bit(data: bytes) -> bytes:
    damaged = bytearray(data)
    damaged[len(damaged) // 2] ^= 4
    return bytes(damaged)


@pytest.mark.parametrize(
    ("name", "data", "copies"),
    [
        ("plain.jsonl", CONTENT, 1),
        ("no_last_newline.jsonl", CONTENT[:-1], 1),
        ("a.jsonl.gz", gzip.compress(CONTENT), 1),
        ("members.jsonl.gz", gzip.compress(CONTENT) * 2, 2),
        ("a.jsonl.zst", zstd(CONTENT), 1),
        ("frames.ndjson.zst", zstd(CONTENT) * 3, 3),
        ("skippable.json.zst", b"\x50\x2a\x4d\x18\x04\x00\x00\x00mark" + zstd(CONTENT), 1),
    ],
)
def test_every_sound_form_is_read_whole(tmp_path: Path, name: str, data: bytes, copies: int) -> None:
    good, bad, _ = read(tmp_path, name, data)
    assert [record.values["text"] for record in good] == [f"document {n}" for n in range(6000)] * copies
    assert bad == []


def test_numbers_and_offsets_find_the_record_again(tmp_path: Path) -> None:
    good, _, _ = read(tmp_path, "a.jsonl.gz", gzip.compress(CONTENT))
    record = good[1234]
    assert record.number == 1235
    assert CONTENT[record.offset : record.offset + record.num_bytes] == LINES[1234]


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd)])
def test_truncation_keeps_what_was_decoded_and_names_the_cut_record(tmp_path: Path, name: str, pack) -> None:  # type: ignore[no-untyped-def]
    packed = pack(CONTENT)
    good, bad, _ = read(tmp_path, name, packed[: len(packed) // 2])
    kind = "gzip" if name.endswith("gz") else "zstd"
    assert 2000 < len(good) < 4000
    assert [record.values["text"] for record in good] == [f"document {n}" for n in range(len(good))]
    assert [item.error for item in bad] == [f"truncated_{kind}"]
    assert bad[0].offset == sum(len(line) + 1 for line in LINES[: len(good)])


@pytest.mark.parametrize(("name", "pack"), [("a.jsonl.gz", gzip.compress), ("a.jsonl.zst", zstd)])
def test_a_flipped_bit_costs_its_member_and_no_other(tmp_path: Path, name: str, pack) -> None:  # type: ignore[no-untyped-def]
    packed = pack(CONTENT)
    good, bad, _ = read(tmp_path, name, packed + flip_bit(packed) + packed)
    assert len(good) == 12000
    assert [(item.offset, item.num_bytes) for item in bad] == [(len(packed), len(packed))]
    assert bad[0].error in {"crc_mismatch", "corrupt_gzip", "corrupt_zstd"}


def test_trailing_garbage_is_named_and_the_records_stay(tmp_path: Path) -> None:
    good, bad, _ = read(tmp_path, "a.jsonl.gz", gzip.compress(CONTENT) + b"not a member")
    assert len(good) == 6000
    assert [(item.error, item.num_bytes, item.sample) for item in bad] == [("trailing_garbage", 12, "not a member")]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_what_is_not_compressed_is_said(tmp_path: Path, name: str) -> None:
    good, bad, _ = read(tmp_path, name, CONTENT)
    assert good == []
    assert [(item.error, item.num_bytes) for item in bad] == [
        ("not_gzip" if name.endswith("gz") else "not_zstd", len(CONTENT))
    ]


def test_a_bomb_is_refused_and_the_members_before_it_stay(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    bomb = gzip.compress(b" " * (80 << 20))
    good, bad, _ = read(tmp_path, "a.jsonl.gz", packed + bomb)
    assert len(good) == 6000
    assert [(item.error, item.offset, item.num_bytes) for item in bad] == [("bomb", len(packed), len(bomb))]
    bomb = zstd(b" " * (80 << 20))
    good, bad, _ = read(tmp_path, "a.jsonl.zst", zstd(CONTENT) + bomb)
    assert (len(good), [item.error for item in bad]) == (6000, ["bomb"])


def test_frames_without_checksum_are_counted(tmp_path: Path) -> None:
    good, bad, measures = read(tmp_path, "a.jsonl.zst", zstd(CONTENT, checksum=False) + zstd(CONTENT))
    assert (len(good), bad) == (12000, [])
    assert measures["frames_without_checksum"] == 1


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b'{"text": "caf\xe9"}', "invalid_utf8"),
        (b'{"text": "\\ud800"}', "lone_surrogate"),
        (b'{"a":' * 3000, "nesting_too_deep"),
        (b"[" * 100_000, "nesting_too_deep"),
        (b'{"a":' * 500 + b"1" + b"}" * 500, "nesting_too_deep"),  # is read, but no output could hold it
        (b'{"a":' + b"[" * 255 + b"]" * 255 + b"}", "nesting_too_deep"),
        (b'{"text": NaN}', "nan_literal"),
        (b'{"text": Infinity}', "nan_literal"),
        (b'{"n": ' + b"7" * 5000 + b"}", "bad_number"),
        (b'{"text": "cut', "bad_json"),
        (b'["a list"]', "wrong_type"),
        (b"null", "wrong_type"),
    ],
)
def test_each_broken_record_has_a_name_and_costs_itself_only(tmp_path: Path, line: bytes, error: str) -> None:
    good, bad, _ = read(tmp_path, "a.jsonl", LINES[0] + b"\n" + line + b"\n" + LINES[1])
    assert [record.values["text"] for record in good] == ["document 0", "document 1"]
    assert [(item.error, item.offset, item.num_bytes) for item in bad] == [(error, len(LINES[0]) + 1, len(line))]
    assert bad[0].sha256 == hashlib.sha256(line).hexdigest()


def test_separators_inside_strings_end_no_line(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three\x0bfour"
    good, bad, _ = read(tmp_path, "a.jsonl", json.dumps({"text": text}, ensure_ascii=False).encode())
    assert ([record.values["text"] for record in good], bad) == ([text], [])


def test_a_record_that_is_too_large_is_passed_over(tmp_path: Path) -> None:
    large = b'{"text": "' + b"x" * (100 << 20) + b'"}'
    good, bad, _ = read(tmp_path, "a.jsonl", LINES[0] + b"\n" + large + b"\n" + LINES[1])
    assert len(good) == 2
    assert [(item.error, item.num_bytes) for item in bad] == [("record_too_large", len(large))]
    assert bad[0].sha256 == hashlib.sha256(large).hexdigest()
    assert bad[0].sample == '{"text": "' + "x" * 190


def test_a_record_of_just_the_limit_is_read(tmp_path: Path) -> None:
    line = b'{"text": "' + b"x" * 100 + b'"}'
    assert len(read(tmp_path, "a.jsonl", line, limit=len(line))[0]) == 1
    assert read(tmp_path, "b.jsonl", line, limit=len(line) - 1)[1][0].error == "record_too_large"


def test_marks_blank_lines_and_line_ends(tmp_path: Path) -> None:
    good, bad, measures = read(tmp_path, "a.jsonl", b"\xef\xbb\xbf" + LINES[0] + b"\r\n\r\n\n" + LINES[1] + b"\r\n")
    assert (len(good), bad) == (2, [])
    assert (measures["byte_order_marks"], measures["blank_lines"]) == (1, 2)


def test_utf16_is_named_once(tmp_path: Path) -> None:
    data = CONTENT.decode().encode("utf-16")
    good, bad, _ = read(tmp_path, "a.jsonl", data)
    assert (good, [(item.error, item.num_bytes) for item in bad]) == ([], [("unexpected_encoding", len(data))])


@pytest.mark.parametrize(
    ("values", "column", "found"),
    [
        ({"text": "a", "content": "b"}, None, ("a", "text")),
        ({"content": "b"}, None, ("b", "content")),
        ({"raw_content": "c"}, None, ("c", "raw_content")),
        ({"text": "a", "body": "d"}, "body", ("d", "body")),
        ({"body": "d"}, None, "missing_text"),
        ({"text": None}, None, "missing_text"),
        ({"text": 7}, None, "wrong_type"),
        ({"text": ["a"]}, None, "wrong_type"),
        ({"text": "a\0b"}, None, "nul_character"),
    ],
)
def test_the_text_is_found_or_its_absence_named(values: dict, column: str | None, found: object) -> None:
    result = find_text(Record(values, 1, 0, 10), column)
    assert (result.error if isinstance(result, BadRecord) else result) == found


hostile_lines = st.one_of(
    st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"")),
    st.sampled_from(LINES[:5]),
    st.dictionaries(st.text(max_size=4), st.text(max_size=9), max_size=3).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=60)
@given(lines=st.lists(hostile_lines, max_size=12), cut=st.integers(0, 400), pack=st.sampled_from(["", ".gz", ".zst"]))
def test_every_line_is_a_record_bad_or_blank(lines: list[bytes], cut: int, pack: str) -> None:
    content = b"".join(line + b"\n" for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        data = gzip.compress(content) if pack == ".gz" else zstd(content) if pack == ".zst" else content
        good, bad, measures = read(Path(folder), f"a.jsonl{pack}", data)
        num_utf16 = sum(item.error == "unexpected_encoding" for item in bad)
        if not num_utf16:
            assert len(good) + len(bad) + measures["blank_lines"] == len(lines)
        # A cut file ends in no error but a bad record, and no record comes out that did not go in.
        cut_good, cut_bad, _ = read(Path(folder), f"b.jsonl{pack}", data[: max(len(data) - cut, 0)])
        assert cut_good == good[: len(cut_good)] or len(cut_good) <= len(good)
        if pack and cut and 0 < len(data) - cut < len(data):
            assert cut_bad != []


def test_orjson_accepts_what_the_names_do_not_cover() -> None:
    assert parse_object(b'{"a": {"b": [1, 2.5, true, null]}}') == {"a": {"b": [1, 2.5, True, None]}}


def write_parquet(path: Path, **columns: list) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=10, write_page_checksum=True, compression="none")
    return path


def test_parquet_rows_come_with_plain_columns(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", content=["a", None, "c"], score=[1.5, 2.0, 3.0], parts=[[1], [2], [3]])
    rows = list(read_parquet(path, max_record_bytes=LIMIT))
    assert [row.values for row in rows] == [
        {"content": "a", "score": 1.5},
        {"content": None, "score": 2.0},
        {"content": "c", "score": 3.0},
    ]
    assert [row.number for row in rows] == [1, 2, 3]


def test_a_parquet_file_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", body=["a"], title=["b"])
    with pytest.raises(InputError, match=r"no column 'text' or 'content' or 'raw_content'; it has 'body', 'title'"):
        list(read_parquet(path, max_record_bytes=LIMIT))
    with pytest.raises(InputError, match=r"no column 'words'; it has 'body', 'title'"):
        list(read_parquet(path, max_record_bytes=LIMIT, column="words"))


def test_a_parquet_column_of_another_type_is_said(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=[1, 2])
    with pytest.raises(InputError, match=r"column 'text' holds int64, not text"):
        list(read_parquet(path, max_record_bytes=LIMIT))


def test_damaged_parquet_is_bad_by_file_or_by_row_group(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=[f"{n:04d}" * 50 for n in range(30)])
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[: len(whole) // 2]):
        path.write_bytes(data)
        assert [item.error for item in read_parquet(path, max_record_bytes=LIMIT)] == ["bad_container"]
    damaged = bytearray(whole)
    damaged[whole.index(b"0015")] ^= 1
    path.write_bytes(bytes(damaged))
    items = list(read_parquet(path, max_record_bytes=LIMIT))
    assert [item.error for item in items if isinstance(item, BadRecord)] == ["bad_row_group"]
    assert [item.number for item in items if isinstance(item, Record)] == [*range(1, 11), *range(21, 31)]


def test_a_parquet_row_that_is_too_large_is_bad(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "a.parquet", text=["short", "x" * 5000, "short"])
    items = list(read_parquet(path, max_record_bytes=1024))
    assert [item.error for item in items if isinstance(item, BadRecord)] == ["record_too_large"]
    assert len(items) == 3
