"""The token store: each document's tokens once, in document order, traceable to its document.

    index.json                vocabulary, end-of-document token, dtype, and every shard with its totals
    train/00012.bin           tokens, flat and little-endian: uint16, or uint32 for a vocabulary above 65,536
    train/00012.ends.bin      uint64: for each document, the place after its last token
    train/00012.docs.jsonl.zst   for each document its id, URL and size in UTF-8 bytes
    val/...                   the same for validation

A shard holds one source. Every document ends with the end-of-document token, which counts as one of its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import orjson
from numpy.typing import NDArray

from llmforge.core.errors import InputError
from llmforge.core.files import atomic_writer, read_json, write_json
from llmforge.core.shards import LineWriter, read_lines, shard_writer

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = get_args(Split)
INDEX = "index.json"
_SCHEMA = 1
_REBUILD = "rebuild it: llmforge tokenize --force"


def choose_dtype(vocab_size: int) -> str:
    """The smallest unsigned type that holds every id below `vocab_size` (count)."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


@dataclass(frozen=True)
class StoreShard:
    """One shard of one split: a file stem, its single source, and its totals (counts; UTF-8 bytes)."""

    stem: str
    source: str
    num_tokens: int
    num_bytes: int
    num_documents: int


@dataclass(frozen=True)
class DocumentSpan:
    """Where a document lies in a shard: its first token, its tokens (the end token included), its UTF-8 bytes."""

    id: str
    source: str
    url: str
    first_token: int
    num_tokens: int
    num_bytes: int


class DocumentWriter:
    """Appends documents to one shard; made by `write_shard`."""

    def __init__(self, tokens: BinaryIO, ends: BinaryIO, documents: LineWriter, dtype: str, eos_id: int) -> None:
        self._tokens, self._ends, self._documents = tokens, ends, documents
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._eos = np.array([eos_id], self._dtype).tobytes()
        self.num_tokens = self.num_bytes = self.num_documents = 0

    def add(self, document_id: str, url: str, num_bytes: int, tokens: NDArray[Any]) -> None:
        """Append one document: its tokens without the end token, and the size of its text in UTF-8 (bytes)."""
        self._tokens.write(tokens.astype(self._dtype, copy=False).tobytes())
        self._tokens.write(self._eos)
        self.num_tokens += len(tokens) + 1
        self.num_bytes += num_bytes
        self.num_documents += 1
        self._ends.write(self.num_tokens.to_bytes(8, "little"))
        self._documents.write({"id": document_id, "url": url, "num_bytes": num_bytes})

    def summary(self, stem: str, source: str) -> StoreShard:
        """What the shard holds so far."""
        return StoreShard(stem, source, self.num_tokens, self.num_bytes, self.num_documents)


_PLACES = np.dtype("<u8")


def shard_paths(folder: Path, split: Split, stem: str) -> tuple[Path, Path, Path]:
    """The three files of a shard: tokens, document ends, documents."""
    base = folder / split
    return base / f"{stem}.bin", base / f"{stem}.ends.bin", base / f"{stem}.docs.jsonl.zst"


@contextmanager
def write_shard(paths: tuple[Path, Path, Path], dtype: str, eos_id: int) -> Iterator[DocumentWriter]:
    """Open a shard's three files for writing; they appear when the block ends without an error."""
    tokens_path, ends_path, documents_path = paths
    with (
        atomic_writer(tokens_path) as tokens,
        atomic_writer(ends_path) as ends,
        shard_writer(documents_path) as documents,
    ):
        yield DocumentWriter(tokens, ends, documents, dtype, eos_id)


def write_index(folder: Path, vocab_size: int, eos_id: int, shards: dict[Split, list[StoreShard]]) -> Path:
    """Write `index.json`, which makes the shards a store.

    Args:
        folder: the artifact's folder.
        vocab_size: tokens of the vocabulary (count); decides the dtype.
        eos_id: the end-of-document token.
        shards: the shards of each split, in order.
    Returns: the index's path.
    """
    splits = {split: [asdict(shard) for shard in shards.get(split, [])] for split in SPLITS}
    value = {
        "schema": _SCHEMA,
        "vocab_size": vocab_size,
        "eos_id": eos_id,
        "dtype": choose_dtype(vocab_size),
        "splits": splits,
    }
    write_json(folder / INDEX, value)
    return folder / INDEX


class TokenStore:
    """One split of a token store, memory-mapped."""

    def __init__(self, folder: Path, split: Split, index: dict[str, Any]) -> None:
        self._folder, self._split = folder, split
        self.vocab_size: int = index["vocab_size"]
        self.eos_id: int = index["eos_id"]
        self.dtype: np.dtype[Any] = np.dtype(index["dtype"]).newbyteorder("<")
        self.shards = tuple(StoreShard(**shard) for shard in index["splits"][split])
        self._maps: dict[tuple[int, int], NDArray[Any]] = {}

    @classmethod
    def open(cls, folder: Path, split: Split) -> TokenStore:
        """Open a split of the store in `folder` (runs/<run>/tokenize) and check every shard's size.

        Raises: InputError if the index is missing, of an unknown schema or contradicts a shard's files.
        """
        index = read_json(folder / INDEX)
        if index.get("schema") != _SCHEMA:
            raise InputError(f"{folder / INDEX}: schema {index.get('schema')!r}, expected {_SCHEMA}", _REBUILD)
        if index["dtype"] != choose_dtype(index["vocab_size"]):
            raise InputError(
                f"{folder / INDEX}: dtype {index['dtype']!r} does not fit {index['vocab_size']:,} tokens", _REBUILD
            )
        store = cls(folder, split, index)
        for shard in store.shards:
            store._check(shard)
        return store

    def _check(self, shard: StoreShard) -> None:
        tokens, ends, documents = shard_paths(self._folder, self._split, shard.stem)
        expected = ((tokens, shard.num_tokens * self.dtype.itemsize), (ends, shard.num_documents * 8))
        for path, num_bytes in expected:
            found = path.stat().st_size if path.exists() else None
            if found != num_bytes:
                shown = "is missing" if found is None else f"has {found} bytes"
                raise InputError(f"{path}: {shown}, but the index says {num_bytes} bytes", _REBUILD)
        if not documents.exists():
            raise InputError(f"{documents}: is missing", _REBUILD)

    @property
    def num_tokens(self) -> int:
        """Tokens of the split, end tokens included (count)."""
        return sum(shard.num_tokens for shard in self.shards)

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the split's documents, for bits per byte."""
        return sum(shard.num_bytes for shard in self.shards)

    @property
    def num_documents(self) -> int:
        """Documents of the split (count)."""
        return sum(shard.num_documents for shard in self.shards)

    def read(self, shard: int, start: int, length: int) -> NDArray[np.int64]:
        """Tokens `start` to `start + length` of a shard.

        Raises: IndexError if the range is not within the shard.
        """
        self._check_range(shard, start, length)
        return self._map(shard, 0, self.dtype)[start : start + length].astype(np.int64)

    def ends(self, shard: int) -> NDArray[np.int64]:
        """For each document of a shard, the place after its last token (document boundaries)."""
        return self._map(shard, 1, _PLACES).astype(np.int64)

    def parts(self, shard: int, start: int, length: int) -> NDArray[np.int64]:
        """How many of the tokens `start` to `start + length` of a shard each of their documents has, in order."""
        self._check_range(shard, start, length)
        ends = self._map(shard, 1, _PLACES)
        first, last = np.searchsorted(ends, [start, start + length - 1], side="right").tolist()
        inner = ends[first:last].astype(np.int64)
        return np.diff(inner, prepend=start, append=start + length)

    def documents(self, shard: int, start: int, length: int) -> list[DocumentSpan]:
        """The documents that own the tokens `start` to `start + length` of a shard, in order.

        Raises: IndexError if the range is not within the shard.
        """
        self._check_range(shard, start, length)
        if length == 0:
            return []
        _, _, documents_path = self._paths(shard)
        ends = self._map(shard, 1, _PLACES)
        first, last = np.searchsorted(ends, [start, start + length - 1], side="right").tolist()
        facts = map(orjson.loads, islice(read_lines(documents_path), first, last + 1))
        begin = int(ends[first - 1]) if first else 0
        spans = []
        for end, fact in zip(ends[first : last + 1].tolist(), facts, strict=True):
            source = self.shards[shard].source
            spans.append(DocumentSpan(fact["id"], source, fact["url"], begin, end - begin, fact["num_bytes"]))
            begin = end
        return spans

    def _paths(self, shard: int) -> tuple[Path, Path, Path]:
        return shard_paths(self._folder, self._split, self.shards[shard].stem)

    def _check_range(self, shard: int, start: int, length: int) -> None:
        if start < 0 or length < 0 or start + length > self.shards[shard].num_tokens:
            found = self.shards[shard]
            raise IndexError(
                f"tokens {start} to {start + length} asked of shard {found.stem}, which has {found.num_tokens}"
            )

    def _map(self, shard: int, file: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """A file of a shard, by its place in `shard_paths`."""
        found = self._maps.get((shard, file))
        if found is None:
            # An empty file cannot be mapped; a written shard holds at least one end token.
            mapped = np.memmap(self._paths(shard)[file], dtype=dtype, mode="r")
            found = self._maps[shard, file] = mapped.view(np.ndarray)  # whose slices cost less
        return found
