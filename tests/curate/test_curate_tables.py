import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from curating import PROSE, Result

from llmforge.core.errors import InputError

Curate = Callable[..., Result]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'id,text,url\n1,"one, two",http://a/\n2,"three\nfour",\n'),
        ("a.csv", "id;content\n1;one, two\n2;three\n"),
        ("a.tsv", "id\traw_content\r\n1\tone, two\r\n2\tthree\r\n"),
    ],
)
def test_tables_with_a_column_of_text(curate: Curate, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    result = curate(tmp_path / name)
    assert result.texts == ["one, two", "three\nfour" if '"' in text else "three"]
    assert result.kept[0]["meta"] == {"id": "1"}
    assert result.manifest.results["sources"]["s0"]["type"] == "csv"


def test_a_table_without_text_names_its_columns(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body\n1,one\n")
    with pytest.raises(InputError, match="no column 'text' or 'content' or 'raw_content'; it has 'id', 'body'"):
        curate(tmp_path / "a.csv")
    assert curate(tmp_path / "a.csv", column="body").texts == ["one"]


@pytest.mark.parametrize(
    ("header", "message"),
    [("text,text", "the column 'text' is there twice"), ('text,"id', r"begins with a bad row \(unbalanced_quote\)")],
)
def test_a_header_that_names_no_columns_is_an_error(curate: Curate, tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\na,b\n")
    with pytest.raises(InputError, match=message):
        curate(tmp_path / "a.csv")


def test_bad_rows_of_a_table_are_named(curate: Curate, tmp_path: Path) -> None:
    rows = [b"text,n", b"one,1", b"caf\xe9,2", b'"tw"o,3', b"three", b"nul\0,4", b"", b"four,5", b'"five', b"six,7"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(rows))
    result = curate(tmp_path / "a.csv")
    assert result.texts == ["one", "four", "six"]
    assert result.errors == {"invalid_utf8": 1, "unbalanced_quote": 2, "column_count": 1, "nul_character": 1}
    assert [row["offset"] for row in result.quarantined if row["error"] == "invalid_utf8"] == [13]
    assert result.manifest.counts["measures"]["blank_lines"] == 1


def test_a_field_may_be_longer_than_the_parser_of_tables_likes(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'text\n"{"x" * 300_000}"\n')
    assert [len(text) for text in curate(tmp_path / "a.csv").texts] == [300_000]


def compress_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(data)


@pytest.mark.parametrize(
    ("ending", "compress", "name"),
    [
        (".gz", gzip.compress, "gzip"),
        (".zst", compress_zstd, "zstd"),
        (".bz2", bz2.compress, "bzip2"),
        (".xz", lzma.compress, "xz"),
    ],
)
def test_json_lines_in_every_compression(
    curate: Curate, tmp_path: Path, ending: str, compress: Callable[[bytes], bytes], name: str
) -> None:
    lines = [json.dumps({"text": f"{PROSE} {number}"}).encode() + b"\n" for number in range(200)]
    folder = tmp_path / "in"
    folder.mkdir()
    # Two members, a damaged one between sound ones, one that is cut off, and a file that is none.
    damaged = bytearray(compress(lines[2]))
    damaged[len(damaged) // 2] ^= 255
    (folder / f"a.jsonl{ending}").write_bytes(compress(lines[0]) + compress(lines[1]))
    (folder / f"b.jsonl{ending}").write_bytes(bytes(damaged) + compress(lines[3]))
    (folder / f"c.jsonl{ending}").write_bytes(compress(b"".join(lines))[:-30])
    (folder / f"d.jsonl{ending}").write_bytes(lines[4])
    result = curate(folder)
    whole = {f"{PROSE} 0", f"{PROSE} 1", f"{PROSE} 3"}
    assert whole <= set(result.texts)
    errors = result.errors
    assert errors[f"truncated_{name}"] == 1
    assert errors[f"not_{name}"] == 1
    assert errors[f"corrupt_{name}"] + errors["crc_mismatch"] == 1
    assert result.errors.total() == 3


@pytest.mark.parametrize(("ending", "compress"), [(".bz2", bz2.compress), (".xz", lzma.compress)])
def test_a_bomb_is_not_unpacked(
    curate: Curate, tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / f"a.jsonl{ending}").write_bytes(compress(b"\0" * (100 << 20)))
    (tmp_path / "b.txt").write_text(PROSE)
    result = curate(tmp_path / f"a.jsonl{ending}", tmp_path / "b.txt")
    assert result.errors == {"bomb": 1}
