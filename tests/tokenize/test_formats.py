"""Other trainers' formats, read back here by code of the tests' own."""

import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from llmforge.config.tokenize import Algorithm
from llmforge.core.errors import InputError
from llmforge.pipeline.build import Built
from llmforge.tokenize.formats import read_megatron, read_nanogpt, write_megatron, write_nanogpt
from llmforge.tokenize.token_store import SPLITS, TokenStore, choose_dtype, shard_paths, write_index, write_shard
from llmforge.tokenize.tokenizer import load_tokenizer


def store_documents(store: TokenStore) -> list[list[int]]:
    documents = []
    for number, shard in enumerate(store.shards):
        tokens = store.read(number, 0, shard.num_tokens).tolist()
        bounds = [0, *store.ends(number).tolist()]
        documents += [tokens[first:last] for first, last in pairwise(bounds)]
    return documents


def make_store(folder: Path, vocab_size: int, documents: list[list[int]]) -> TokenStore:
    with write_shard(shard_paths(folder, "train", "00000"), choose_dtype(vocab_size), vocab_size - 1) as writer:
        for number, tokens in enumerate(documents):
            writer.add(str(number), "", 1, np.array(tokens, np.uint32))
        shard = writer.summary("00000", "s")
    write_index(folder, vocab_size, vocab_size - 1, {"train": [shard]})
    return TokenStore.open(folder, "train")


def megatron_by_hand(prefix: Path) -> list[list[int]]:
    """Documents of a Megatron data set, read value by value as its format is described."""
    index, data = (prefix.with_name(prefix.name + ending).read_bytes() for ending in (".idx", ".bin"))
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, bounds = struct.unpack_from("<QBQQ", index, 9)
    assert (version, bounds) == (1, sequences + 1)
    letter, width = {8: ("H", 2), 4: ("i", 4)}[code]
    lengths = struct.unpack_from(f"<{sequences}i", index, 34)
    places = struct.unpack_from(f"<{sequences}q", index, 34 + 4 * sequences)
    assert struct.unpack_from(f"<{bounds}q", index, 34 + 12 * sequences) == tuple(range(bounds))
    assert len(index) == 34 + 12 * sequences + 8 * bounds
    assert len(data) == width * sum(lengths)
    return [
        list(struct.unpack_from(f"<{size}{letter}", data, place)) for size, place in zip(lengths, places, strict=True)
    ]


def test_megatron_files_hold_the_documents(tmp_path: Path, corpus: Path, tokenize: Callable[..., Built]) -> None:
    folder = tokenize(corpus).folder
    for split in SPLITS:
        store, prefix = TokenStore.open(folder, split), tmp_path / "megatron" / f"{split}.v1_text_document"
        write_megatron(store, prefix)
        assert megatron_by_hand(prefix) == store_documents(store)
        assert [tokens.tolist() for tokens in read_megatron(prefix)] == store_documents(store)


@pytest.mark.parametrize(("vocab_size", "width"), [(65_499, 2), (65_500, 4), (65_536, 4), (70_000, 4)])
def test_megatron_switches_to_int32_where_its_own_writer_does(tmp_path: Path, vocab_size: int, width: int) -> None:
    documents = [[vocab_size - 2, 1], [], [5]]
    store = make_store(tmp_path, vocab_size, documents)
    write_megatron(store, tmp_path / "m")
    assert (tmp_path / "m.bin").stat().st_size == 6 * width
    assert megatron_by_hand(tmp_path / "m") == [[*tokens, vocab_size - 1] for tokens in documents]


def test_nanogpt_files_hold_the_tokens(tmp_path: Path, corpus: Path, tokenize: Callable[..., Built]) -> None:
    folder = tokenize(corpus).folder
    write_nanogpt(folder, tmp_path / "nano")
    for split in SPLITS:
        store, path = TokenStore.open(folder, split), tmp_path / "nano" / f"{split}.bin"
        flat = np.memmap(path, dtype=np.uint16, mode="r")  # as nanoGPT's train.py opens it
        assert flat.tolist() == [token for tokens in store_documents(store) for token in tokens]
        assert [tokens.tolist() for tokens in read_nanogpt(path, store.eos_id)] == store_documents(store)


def test_nanogpt_refuses_a_large_vocabulary(tmp_path: Path) -> None:
    make_store(tmp_path, 70_000, [[1]])
    with pytest.raises(InputError, match="do not fit the 16 bits"):
        write_nanogpt(tmp_path, tmp_path / "nano")


def test_damaged_files_are_clear_errors(tmp_path: Path) -> None:
    write_megatron(make_store(tmp_path, 300, [[1, 2], [3]]), tmp_path / "m")
    index = (tmp_path / "m.idx").read_bytes()
    (tmp_path / "m.bin").write_bytes(b"\0\0")
    with pytest.raises(InputError, match=r"points outside m\.bin, which has 2 bytes"):
        list(read_megatron(tmp_path / "m"))
    (tmp_path / "m.idx").write_bytes(index[:40])
    with pytest.raises(InputError, match="too few for its 2 sequences"):
        list(read_megatron(tmp_path / "m"))
    for content in (b"", b"nonsense" * 10):
        (tmp_path / "m.idx").write_bytes(content)
        with pytest.raises(InputError, match="not a Megatron index"):
            list(read_megatron(tmp_path / "m"))
    (tmp_path / "odd.bin").write_bytes(b"abc")
    with pytest.raises(InputError, match="not a whole number of uint16 tokens"):
        list(read_nanogpt(tmp_path / "odd.bin", 0))
    with pytest.raises(InputError, match="no such file"):
        list(read_nanogpt(tmp_path / "absent.bin", 0))


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_transformers_loads_the_folder_of_every_kind(
    corpus: Path, tokenize: Callable[..., Built], algorithm: str
) -> None:
    transformers = pytest.importorskip("transformers")
    folder = tokenize(corpus, algorithm=algorithm, vocab_size=600).folder
    theirs, ours = transformers.AutoTokenizer.from_pretrained(folder), load_tokenizer(folder)
    assert theirs.is_fast
    assert theirs.eos_token_id == ours.eos_id
    for text in [
        *corpus.joinpath("part0.jsonl").read_text().splitlines(),
        f" a{ours.eos_token}  b\n<unk> [UNK] <0x41> é",
    ]:
        found = theirs(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert found == ours.encode(text).tolist()
