"""Reading plain and compressed files (gzip, zstd, bzip2, xz, lz4): damage is found before its bytes are believed.

A compressed file is a row of members (zstd calls them frames, xz and bzip2 streams), each with a checksum behind
its data: a flipped bit is noticed only after wrong bytes were decoded. So a member is decoded to its end before a byte
of it is handed out, with a `Damage` in the place of one that is not sound. What a small one holds is kept meanwhile; a
large one is decoded twice.
"""

import bz2
import lzma
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

MAX_RATIO = 200
"""A member that grows by more than this factor, and beyond `_FREE_BYTES`, is a decompression bomb."""

SAMPLE_BYTES = 200
_FREE_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 18
_HELD_BYTES = 4 << 20


@dataclass(frozen=True)
class Damage:
    """A range of a file, as it lies on disk, whose content cannot be read."""

    error: str
    offset: int
    num_bytes: int
    sample: bytes


@dataclass(frozen=True)
class _Codec:
    """A compression format.

    `piece_bytes` is what is decoded in one call: small enough that the worst bomb of the format stays below
    70 MB of output (deflate grows by at most 1032, xz by some 7,000 and lz4 by 255; a zstd block of 4 bytes can
    stand for 128 KiB, one of bzip2 of 40 bytes for 900 kB).
    """

    name: str
    magics: tuple[bytes, ...]
    new_decoder: Callable[[], Any]
    piece_bytes: int
    checksum_words: tuple[str, ...]


def _new_gzip_decoder() -> Any:
    return zlib.decompressobj(31)


def _new_zstd_decoder() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()


def _new_bzip2_decoder() -> Any:
    return bz2.BZ2Decompressor()


def _new_xz_decoder() -> Any:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 28)


def _new_lz4_decoder() -> Any:
    import lz4.frame

    return lz4.frame.LZ4FrameDecompressor()


_SKIPPABLE = tuple(bytes([number, 0x2A, 0x4D, 0x18]) for number in range(0x50, 0x60))
_CODECS = {
    ".gz": _Codec("gzip", (b"\x1f\x8b\x08",), _new_gzip_decoder, 1 << 15, ("data check", "length check")),
    ".zst": _Codec("zstd", (b"\x28\xb5\x2f\xfd", *_SKIPPABLE), _new_zstd_decoder, 1 << 11, ("checksum",)),
    ".bz2": _Codec("bzip2", (b"BZh",), _new_bzip2_decoder, 1 << 10, ()),
    ".xz": _Codec("xz", (b"\xfd7zXZ\0",), _new_xz_decoder, 1 << 13, ()),
    ".lz4": _Codec("lz4", (b"\x04\x22\x4d\x18",), _new_lz4_decoder, 1 << 17, ("Checksum_invalid",)),
}
COMPRESSIONS = tuple(_CODECS)
_DECODING_ERRORS = (zlib.error, zstandard.ZstdError, lzma.LZMAError, OSError, ValueError, RuntimeError)  # the last: lz4
_LONGEST_MAGIC = max(len(magic) for codec in _CODECS.values() for magic in codec.magics)


@dataclass(frozen=True)
class _Extent:
    """One member, or a run of damaged ones, and what is wrong; a truncated member is readable as far as it goes.

    `content` is what a sound member holds, unless that is too much to keep.
    """

    start: int
    end: int
    error: str | None = None
    content: tuple[bytes, ...] | None = None

    @property
    def is_truncated(self) -> bool:
        return self.error is not None and self.error.startswith("truncated")


def read_chunks(path: Path, measures: Counter[str] | None = None) -> Iterator[bytes | Damage]:
    """The content of a file in bounded memory, decompressed as its ending says.

    Args:
        path: a regular file.
        measures: counts `frames_without_checksum`, which no reader can prove to be whole.
    Returns: chunks of content, and a `Damage` for every extent that is cut short, fails its checksum, is no
        member at all, or is a bomb.
    """
    codec = _CODECS.get(path.suffix.lower())
    with open(path, "rb") as file:
        if codec is None:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
            return
        for extent in _find_extents(file, codec, measures):
            if extent.content is not None:
                yield from extent.content
            elif extent.error is None or extent.is_truncated:
                yield from _decode(file, codec, extent)
            if extent.error is not None:
                # What a truncated member holds was handed out; what is missing from it is no byte of this file.
                start = extent.end if extent.is_truncated else extent.start
                file.seek(start)
                yield Damage(extent.error, start, extent.end - start, file.read(SAMPLE_BYTES))


def _find_extents(file: BinaryIO, codec: _Codec, measures: Counter[str] | None) -> Iterator[_Extent]:
    """Every byte of the file in extents: each sound member, and damaged neighbours joined."""
    damaged: _Extent | None = None
    size, position = file.seek(0, 2), 0
    while position < size:
        extent = _check_member(file, codec, position, size)
        position = extent.end
        if extent.error is not None:
            damaged = replace(damaged, end=extent.end) if damaged else extent
            continue
        if measures is not None and not _has_checksum(file, codec, extent.start):
            measures["frames_without_checksum"] += 1
        if damaged:
            yield damaged
            damaged = None
        yield extent
    if damaged:
        yield damaged


def _check_member(file: BinaryIO, codec: _Codec, start: int, size: int) -> _Extent:
    """Decode one member, and keep its content if it is small; a bad one ends where the next one seems to begin."""
    file.seek(start)
    piece = file.read(codec.piece_bytes)
    if not piece.startswith(codec.magics):
        error = "trailing_garbage" if start else f"not_{codec.name}"
        return _Extent(start, _next_member(file, codec, start, size), error)
    decoder, num_in, num_out = codec.new_decoder(), 0, 0
    content: list[bytes] = []
    while piece:
        try:
            decoded = decoder.decompress(piece)
        except _DECODING_ERRORS as problem:
            is_checksum = any(word in str(problem) for word in codec.checksum_words)
            error = "crc_mismatch" if is_checksum else f"corrupt_{codec.name}"
            return _Extent(start, _next_member(file, codec, start, size), error)
        num_in, num_out = num_in + len(piece), num_out + len(decoded)
        if num_out > max(_FREE_BYTES, MAX_RATIO * num_in):
            return _Extent(start, size, "bomb")
        if num_out <= _HELD_BYTES:
            content.append(decoded)
        else:
            content.clear()
        if decoder.eof:
            held = tuple(filter(None, content)) if num_out <= _HELD_BYTES else None
            return _Extent(start, start + num_in - len(decoder.unused_data or b""), content=held)
        piece = file.read(codec.piece_bytes)
    return _Extent(start, size, f"truncated_{codec.name}")


def _decode(file: BinaryIO, codec: _Codec, extent: _Extent) -> Iterator[bytes]:
    """The content of a member that was checked."""
    decoder, position = codec.new_decoder(), extent.start
    file.seek(position)
    while position < extent.end:
        piece = file.read(min(codec.piece_bytes, extent.end - position))
        position += len(piece)
        if content := decoder.decompress(piece):
            yield content


def _next_member(file: BinaryIO, codec: _Codec, start: int, size: int) -> int:
    """Where the next member may begin after a damaged one (the end of the file if nowhere)."""
    position, window = start + 1, b""
    while position < size:
        file.seek(position)
        window = file.read(_CHUNK_BYTES)
        found = [place for magic in codec.magics if (place := window.find(magic)) >= 0]
        if found:
            return position + min(found)
        position += max(len(window) - _LONGEST_MAGIC + 1, 1)
    return size


def _has_checksum(file: BinaryIO, codec: _Codec, start: int) -> bool:
    if codec.name != "zstd":
        return True
    file.seek(start)
    header = file.read(18)  # the longest frame header
    return header.startswith(_SKIPPABLE) or zstandard.get_frame_parameters(header).has_checksum
