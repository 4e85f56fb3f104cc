"""Shard files of our own: JSON lines in zstd with a content checksum, written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import zstandard

from llmforge.core.documents import Document
from llmforge.core.errors import InputError
from llmforge.core.files import atomic_writer

_LEVEL = 3


class LineWriter:
    """Writes JSON lines into one compressed shard."""

    def __init__(self, stream: zstandard.ZstdCompressionWriter) -> None:
        self._stream = stream

    def write(self, value: Document | dict[str, Any]) -> None:
        """Append one document or one JSON object."""
        line = value.to_json() if isinstance(value, Document) else orjson.dumps(value)
        self._stream.write(line + b"\n")


@contextmanager
def shard_writer(path: Path) -> Iterator[LineWriter]:
    """Open a `.jsonl.zst` shard; it appears under its name when the block ends without an error.

    Equal lines give equal bytes: one thread, a fixed level, no time and no name in the header.
    """
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with atomic_writer(path) as file, compressor.stream_writer(file, closefd=False) as stream:
        yield LineWriter(stream)


def read_lines(path: Path) -> Iterator[bytes]:
    """Lines of a shard that llmforge wrote, in bounded memory.

    Raises: InputError if the shard is missing, cut short or damaged.
    """
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    rest = b""
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 18):
                *lines, rest = (rest + decompressor.decompress(chunk)).split(b"\n")
                yield from lines
    except (OSError, zstandard.ZstdError) as error:
        raise InputError(f"{path}: damaged or unreadable shard ({error})", "rebuild the stage with --force") from error
    if rest or not decompressor.eof:
        raise InputError(f"{path}: the shard is cut short", "rebuild the stage with --force")


def read_objects(path: Path) -> Iterator[dict[str, Any]]:
    """JSON objects of a shard that llmforge wrote."""
    for line in read_lines(path):
        yield orjson.loads(line)


def read_documents(path: Path) -> Iterator[Document]:
    """Documents of a shard that llmforge wrote."""
    for line in read_lines(path):
        yield Document.from_json(line)
