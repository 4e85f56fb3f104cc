"""Files of several members, some of them damaged: what is kept from a first look is what a second one reads."""

import bz2
import gzip
import lzma
import random
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from llmforge.core import compression
from llmforge.core.compression import Damage, read_chunks

COMPRESS = {
    ".gz": gzip.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".lz4": lambda data: lz4.frame.compress(data, content_checksum=True),
}


@pytest.fixture(params=COMPRESS)
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(path: Path, members: list[bytes], damaged: set[int] = frozenset()) -> list[int]:
    """Write members, some with a flipped byte in their middle; returns where each begins, and the end."""
    places = [0]
    with open(path, "wb") as file:
        for number, member in enumerate(members):
            packed = bytearray(COMPRESS[path.suffix](member))
            if number in damaged:
                packed[len(packed) // 2] ^= 0x55
            file.write(packed)
            places.append(places[-1] + len(packed))
    return places


def noise(num_bytes: int) -> bytes:
    return random.Random(num_bytes).randbytes(num_bytes)


@pytest.mark.parametrize("held_bytes", [0, 3000, 1 << 22])
def test_sound_members_come_through_and_damaged_neighbours_are_one_range(
    tmp_path: Path, suffix: str, held_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "_HELD_BYTES", held_bytes)
    members = [noise(size) for size in (2000, 50_000, 900, 800, 100_000, 1)]
    path = tmp_path / f"file{suffix}"
    places = write(path, members, damaged={2, 3})
    before, after, damages, content = b"".join(members[:2]), b"".join(members[4:]), [], b""
    for chunk in read_chunks(path):
        if isinstance(chunk, Damage):
            damages.append((chunk.offset, chunk.num_bytes, len(content)))
        else:
            content += chunk
    assert content == before + after
    assert damages == [(places[2], places[4] - places[2], len(before))]


def test_a_cut_member_is_read_as_far_as_it_goes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    first, last = noise(70_000), noise(3_000_000)
    write(path, [first, last])
    path.write_bytes(path.read_bytes()[:-1000])
    *chunks, damage = read_chunks(path)
    content = b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))
    assert (first + last).startswith(content)
    assert len(first) <= len(content) < len(first + last)
    assert isinstance(damage, Damage)
    assert damage.error.startswith("truncated")


def test_an_empty_member_is_sound(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    write(path, [b"", b"text", b""])
    assert list(read_chunks(path)) == [b"text"]
