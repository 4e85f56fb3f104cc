r"""The token store in the formats of other trainers, written and read.

    Megatron-LM   PREFIX.bin: token sequences end to end; PREFIX.idx, little-endian:
                  9 bytes "MMIDIDX\0\0", u64 version 1, u8 dtype (4 int32, 8 uint16), u64 sequences S, u64 S + 1,
                  S int32 lengths (tokens), S int64 places in PREFIX.bin (bytes), S + 1 int64 document bounds
    nanoGPT       train.bin and val.bin: uint16, no header; a document ends where its end token stands

The folder of a tokenize artifact holds tokenizer.json and tokenizer_config.json already, which `transformers` loads.

Source: megatron/core/datasets/indexed_dataset.py of NVIDIA/Megatron-LM; data/openwebtext/prepare.py of nanoGPT.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core.documents import Document, document_id
from llmforge.core.errors import InputError
from llmforge.core.files import atomic_writer
from llmforge.tokenize.token_store import SPLITS, TokenStore
from llmforge.tokenize.tokenizer import Tokenizer

_MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQQ")
_DTYPE_CODES: dict[int, np.dtype[Any]] = {8: np.dtype("<u2"), 4: np.dtype("<i4")}
# Megatron's writer leaves uint16 from this vocabulary size on.
_MEGATRON_INT32_FROM = 65_500
_CHUNK_TOKENS = 1 << 20


def write_megatron(store: TokenStore, prefix: Path) -> tuple[Path, Path]:
    """Write a split as PREFIX.bin and PREFIX.idx, one sequence a document, end tokens included; returns both paths.

    Memory grows by 20 bytes a document.
    """
    code = 8 if store.vocab_size < _MEGATRON_INT32_FROM else 4
    dtype = _DTYPE_CODES[code]
    paths = _beside(prefix, ".bin"), _beside(prefix, ".idx")
    with atomic_writer(paths[0]) as file:
        for chunk in _chunks(store):
            file.write(chunk.astype(dtype).tobytes())
    per_shard = [np.diff(store.ends(number), prepend=0) for number in range(len(store.shards))]
    lengths = np.concatenate(per_shard) if per_shard else np.zeros(0, np.int64)
    places = (np.cumsum(lengths) - lengths) * dtype.itemsize
    with atomic_writer(paths[1]) as file:
        file.write(_HEADER.pack(_MAGIC, 1, code, len(lengths), len(lengths) + 1))
        file.write(lengths.astype("<i4").tobytes())
        file.write(places.astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())
    return paths


def read_megatron(prefix: Path) -> Iterator[NDArray[np.int64]]:
    """Token ids of each document of PREFIX.bin and PREFIX.idx.

    Raises: InputError if the index is no such file, of another version or token type, or points outside PREFIX.bin.
    """
    path = _beside(prefix, ".idx")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    data = path.read_bytes()
    magic, version, code, num_sequences, num_bounds = _HEADER.unpack(data[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    if magic != _MAGIC or version != 1 or code not in _DTYPE_CODES:
        raise InputError(f"{path}: not a Megatron index of version 1 with uint16 or int32 tokens")
    if len(data) < _HEADER.size + 12 * num_sequences + 8 * num_bounds:
        raise InputError(f"{path}: {len(data)} bytes, too few for its {num_sequences:,} sequences")
    dtype = _DTYPE_CODES[code]
    lengths = np.frombuffer(data, "<i4", num_sequences, _HEADER.size).astype(np.int64)
    places = np.frombuffer(data, "<i8", num_sequences, _HEADER.size + 4 * num_sequences)
    bounds = np.frombuffer(data, "<i8", num_bounds, _HEADER.size + 12 * num_sequences)
    tokens = _map_tokens(_beside(prefix, ".bin"), dtype)
    is_inside = (lengths >= 0) & (places >= 0) & (places + lengths * dtype.itemsize <= tokens.nbytes)
    if not is_inside.all():
        raise InputError(f"{path}: points outside {_beside(prefix, '.bin').name}, which has {tokens.nbytes} bytes")
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        starts = places[first:last] // dtype.itemsize
        parts = [tokens[start : start + size] for start, size in zip(starts, lengths[first:last], strict=True)]
        yield np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)


def write_nanogpt(folder: Path, target: Path) -> list[Path]:
    """Write both splits of the store in `folder` as `target`/train.bin and `target`/val.bin; returns both paths.

    Raises: InputError if the vocabulary does not fit 16 bits.
    """
    stores = {target / f"{split}.bin": TokenStore.open(folder, split) for split in SPLITS}
    for path, store in stores.items():
        if store.dtype.itemsize != 2:
            raise InputError(
                f"{folder}: {store.vocab_size:,} tokens do not fit the 16 bits of nanoGPT's format",
                "use a vocabulary of at most 65,536, or Megatron's format",
            )
        with atomic_writer(path) as file:
            for chunk in _chunks(store):
                file.write(chunk.astype("<u2").tobytes())
    return list(stores)


def read_nanogpt(path: Path, eos_id: int) -> Iterator[NDArray[np.int64]]:
    """Token ids of each document of a .bin file, its end token included; a last one without an end token counts.

    Raises: InputError if the size is no whole number of tokens.
    """
    tokens = _map_tokens(path, np.dtype("<u2"))
    start = 0
    for begin in range(0, len(tokens), _CHUNK_TOKENS):
        for place in np.flatnonzero(tokens[begin : begin + _CHUNK_TOKENS] == eos_id).tolist():
            yield tokens[start : begin + place + 1].astype(np.int64)
            start = begin + place + 1
    if start < len(tokens):
        yield tokens[start:].astype(np.int64)


def decode_documents(path: Path, tokenizer: Tokenizer) -> Iterator[Document]:
    """The documents of a Megatron data set (its .idx), or of a nanoGPT file (a .bin without an .idx), as text.

    Raises: InputError as the formats do, or if a token is not the tokenizer's.
    """
    prefix = path.with_suffix("")
    is_megatron = path.suffix == ".idx" or _beside(prefix, ".idx").is_file()
    documents = read_megatron(prefix) if is_megatron else read_nanogpt(path, tokenizer.eos_id)
    for number, tokens in enumerate(documents):
        if len(tokens) and (tokens.max() >= tokenizer.vocab_size or tokens.min() < 0):
            raise InputError(
                f"{path}: document {number} has a token {tokens.max():,}, and the tokenizer ends at "
                f"{tokenizer.vocab_size - 1:,}",
                "name the tokenizer that these tokens were made with: --tokenizer",
            )
        is_ended = len(tokens) and tokens[-1] == tokenizer.eos_id
        text = tokenizer.decode(tokens[:-1] if is_ended else tokens)
        yield Document(document_id(prefix.name, f"{path.name}#{number}", text), text, prefix.name)


def _chunks(store: TokenStore) -> Iterator[NDArray[np.int64]]:
    """The split's tokens in order, a bounded number at a time."""
    for number, shard in enumerate(store.shards):
        for start in range(0, shard.num_tokens, _CHUNK_TOKENS):
            yield store.read(number, start, min(_CHUNK_TOKENS, shard.num_tokens - start))


def _map_tokens(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    size = path.stat().st_size
    if size % dtype.itemsize:
        raise InputError(f"{path}: {size} bytes, not a whole number of {dtype.name} tokens")
    return np.memmap(path, dtype=dtype, mode="r") if size else np.zeros(0, dtype)


def _beside(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)
