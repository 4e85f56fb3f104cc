import os
from pathlib import Path

from llmforge.core.hashing import HashCache, derive_seed, hash_bytes, hash_file, hash_value


def test_known_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_bytes(b"abc") == hash_file(tmp_path / "a") == known


def test_a_value_hashes_alike_whatever_the_order_of_its_keys() -> None:
    assert hash_value({"a": 1, "b": {"c": 2, "d": 3}}) == hash_value({"b": {"d": 3, "c": 2}, "a": 1})


def test_the_cache_sees_a_rewrite_that_keeps_size_and_mtime(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    cache = HashCache(tmp_path / "hashes.json")
    first = cache.hash_file(path)
    stat = path.stat()
    cache.save()
    path.write_bytes(b"two")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert HashCache(tmp_path / "hashes.json").hash_file(path) == hash_bytes(b"two") != first


def test_the_cache_saves_a_second_read_and_survives_damage(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    cache = HashCache(tmp_path / "hashes.json")
    digest = cache.hash_file(path)
    cache.save()
    again = HashCache(tmp_path / "hashes.json")
    with monkeypatch.context() as patch:
        patch.setattr("llmforge.core.hashing.hash_file", lambda _: "read again")
        assert again.hash_file(path) == digest
    (tmp_path / "hashes.json").write_bytes(b"\x00 not json")
    assert HashCache(tmp_path / "hashes.json").hash_file(path) == digest


def test_seeds_depend_on_every_part() -> None:
    seeds = {derive_seed(1, "dedup", 0), derive_seed(1, "dedup", 1), derive_seed(2, "dedup", 0), derive_seed(1, "x", 0)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
