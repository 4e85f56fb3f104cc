"""Content hashes, cached by what the file system says of a file, and seeds derived from names."""

import hashlib
import os
from pathlib import Path

import orjson

from llmforge.core.files import to_json, write_bytes

_CHUNK_BYTES = 1 << 20


def hash_bytes(data: bytes) -> str:
    """SHA-256 of `data`, as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_value(value: object) -> str:
    """SHA-256 of a JSON-able value; equal values give equal hashes, whatever the order of their keys."""
    return hash_bytes(to_json(value))


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, read in bounded memory."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def derive_seed(*parts: object) -> int:
    """A seed of 63 bits from names and numbers (run seed, stage, shard), equal on every machine."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class HashCache:
    """Content hashes remembered by size, mtime, ctime and inode.

    Size and mtime alone cannot see a rewrite that keeps both; ctime can. `verify` does not use this cache.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[object]] = self._load()
        self._changed = False

    def _load(self) -> dict[str, list[object]]:
        try:
            known = orjson.loads(self._path.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return {}  # only a cache: everything is hashed again
        return known if isinstance(known, dict) else {}

    def hash_file(self, path: Path) -> str:
        """SHA-256 of the file's content, read only if the file system says that the file may have changed."""
        stat = os.stat(path)
        key = os.fsencode(os.path.abspath(path)).decode("utf-8", "backslashreplace")
        facts = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        entry = self._known.get(key)
        if entry is not None and entry[:-1] == facts:
            return str(entry[-1])
        digest = hash_file(path)
        self._known[key] = [*facts, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Write the cache if it changed."""
        if self._changed:
            write_bytes(self._path, to_json(self._known))
            self._changed = False
