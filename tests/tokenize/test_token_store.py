"""The token store: what is written is read, traced and checked."""

from pathlib import Path

import numpy as np
import pytest

from llmforge.core.errors import InputError
from llmforge.tokenize.token_store import TokenStore, choose_dtype, shard_paths, write_index, write_shard

DOCUMENTS = [("a" * 32, "https://one.example/", 5, [1, 2, 3]), ("b" * 32, "", 0, []), ("c" * 32, "x", 9, [7, 8])]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with write_shard(shard_paths(tmp_path, "train", "00000"), "uint16", eos_id=0) as writer:
        for document_id, url, num_bytes, tokens in DOCUMENTS:
            writer.add(document_id, url, num_bytes, np.array(tokens, np.uint32))
        shard = writer.summary("00000", "web")
    write_index(tmp_path, 300, 0, {"train": [shard], "val": []})
    return tmp_path


def test_tokens_come_back_with_an_end_token_after_each_document(folder: Path) -> None:
    store = TokenStore.open(folder, "train")
    assert (store.num_tokens, store.num_bytes, store.num_documents) == (8, 14, 3)
    assert (store.vocab_size, store.eos_id, store.dtype) == (300, 0, np.dtype("<u2"))
    tokens = store.read(0, 0, 8)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [1, 2, 3, 0, 0, 7, 8, 0]
    assert store.read(0, 5, 2).tolist() == [7, 8]
    assert store.ends(0).tolist() == [4, 5, 8]
    assert TokenStore.open(folder, "val").shards == ()


def test_the_file_is_flat_and_little_endian(folder: Path) -> None:
    assert (folder / "train/00000.bin").read_bytes() == bytes([1, 0, 2, 0, 3, 0, 0, 0, 0, 0, 7, 0, 8, 0, 0, 0])


def test_every_token_is_traced_to_its_document(folder: Path) -> None:
    store = TokenStore.open(folder, "train")
    owners = [store.documents(0, token, 1)[0].id[0] for token in range(8)]
    assert owners == ["a", "a", "a", "a", "b", "c", "c", "c"]
    first, second, third = store.documents(0, 3, 3)
    assert (first.url, first.source, first.first_token, first.num_tokens, first.num_bytes) == (
        "https://one.example/", "web", 0, 4, 5,
    )  # fmt: skip
    assert (second.first_token, second.num_tokens, third.first_token, third.num_tokens) == (4, 1, 5, 3)
    assert store.documents(0, 2, 0) == []


@pytest.mark.parametrize(("start", "length"), [(0, 9), (8, 1), (-1, 1), (0, -1)])
def test_a_range_outside_the_shard_is_refused(folder: Path, start: int, length: int) -> None:
    store = TokenStore.open(folder, "train")
    with pytest.raises(IndexError, match="which has 8"):
        store.read(0, start, length)
    with pytest.raises(IndexError, match="which has 8"):
        store.documents(0, start, length)


@pytest.mark.parametrize("name", ["00000.bin", "00000.ends.bin"])
def test_a_cut_shard_is_found_on_opening(folder: Path, name: str) -> None:
    path = folder / "train" / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="but the index says"):
        TokenStore.open(folder, "train")


@pytest.mark.parametrize("name", ["00000.bin", "00000.docs.jsonl.zst"])
def test_a_missing_file_is_found_on_opening(folder: Path, name: str) -> None:
    (folder / "train" / name).unlink()
    with pytest.raises(InputError, match="is missing"):
        TokenStore.open(folder, "train")


@pytest.mark.parametrize(
    ("old", "new", "message"), [('"schema": 1', '"schema": 9', "schema 9"), ("uint16", "uint32", "does not fit")]
)
def test_an_index_that_contradicts_itself_is_refused(folder: Path, old: str, new: str, message: str) -> None:
    index = folder / "index.json"
    index.write_text(index.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        TokenStore.open(folder, "train")


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    def write_half() -> None:
        with write_shard(shard_paths(tmp_path, "val", "00003"), "uint32", eos_id=0) as writer:
            writer.add("a", "", 1, np.array([1]))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_dtype_switches_above_65536_tokens() -> None:
    assert [choose_dtype(size) for size in (257, 65_536, 65_537)] == ["uint16", "uint16", "uint32"]
