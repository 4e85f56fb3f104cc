import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from deduplicating import Result, document, edit_text, make_corpus, make_text

from llmforge.core.errors import InputError
from llmforge.core.shards import read_objects, shard_writer
from llmforge.dedup.evidence import Part, mark_differences, read_removals
from llmforge.dedup.proof import prove

RunDedup = Callable[..., Result]


def rewrite(path: Path, change: Callable[[list[dict]], list[dict]]) -> None:  # type: ignore[type-arg]
    rows = change(list(read_objects(path)))
    with shard_writer(path) as shard:
        for row in rows:
            shard.write(row)


def test_removals_come_with_their_keepers(run_dedup: RunDedup) -> None:
    rows = make_corpus(20)
    result = run_dedup([rows[::2], rows[1::2]])
    removals = list(read_removals(result.folder, 1000))
    assert [one.removed["id"] for one in removals] == [row["id"] for row in result.removed]
    assert all(one.kept["id"] == one.removed["kept_id"] for one in removals)
    assert len(list(read_removals(result.folder, 3))) == 3
    assert {one.removed["method"] for one in read_removals(result.folder, 1000, "exact")} == {"exact"}


def test_a_folder_without_an_artifact_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dedup"):
        list(read_removals(tmp_path / "runs" / "absent" / "dedup", 3))


def test_a_removal_whose_keeper_is_gone_is_named(run_dedup: RunDedup) -> None:
    text = make_text(random.Random(1), 50)
    result = run_dedup([[document(1, text), document(2, text)]])
    rewrite(result.folder / "data" / "00000.jsonl.zst", lambda rows: [])
    with pytest.raises(InputError, match="which is not in data shard 00000"):
        list(read_removals(result.folder, 1))


def test_differing_words_are_marked_on_both_sides() -> None:
    one, two = mark_differences("the quick  brown fox jumps", "the slow brown\nfox jumps high")
    assert one == [Part("the ", False), Part("quick  ", True), Part("brown fox jumps", False)]
    assert two == [Part("the ", False), Part("slow ", True), Part("brown\nfox jumps ", False), Part("high", True)]
    assert mark_differences("", "a") == ([], [Part("a", True)])


def test_a_sound_artifact_is_proven(run_dedup: RunDedup) -> None:
    result = run_dedup([make_corpus(21), [document(999, ""), document(998, "short")]])
    proof = prove(result.folder)
    assert (proof.kept, proof.removed) == (len(result.kept), len(result.removed))
    assert proof.sampled == len(result.kept)
    assert proof.missed <= proof.allowed
    assert prove(run_dedup([make_corpus(21)], minhash=None).folder).sampled == 0
    assert prove(run_dedup([[]]).folder).kept == 0


def test_a_missing_keeper_is_found(run_dedup: RunDedup) -> None:
    result = run_dedup([make_corpus(22)])
    keeper = result.removed[0]["kept_id"]
    rewrite(result.folder / "data" / "00000.jsonl.zst", lambda rows: [row for row in rows if row["id"] != keeper])
    with pytest.raises(InputError, match=f"more documents were removed in favour of {keeper} than it stands for"):
        prove(result.folder)


def test_a_removal_that_is_not_listed_is_found(run_dedup: RunDedup) -> None:
    result = run_dedup([make_corpus(23)])
    rewrite(result.folder / "removed" / "00000.jsonl.zst", lambda rows: rows[1:])
    with pytest.raises(InputError, match="fewer documents were removed in favour of"):
        prove(result.folder)


def test_counts_are_held_against_the_manifest(run_dedup: RunDedup) -> None:
    result = run_dedup([make_corpus(24)])
    lone = next(row["id"] for row in result.kept if row["meta"]["dedup"]["cluster_size"] == 1)
    rewrite(result.folder / "data" / "00000.jsonl.zst", lambda rows: [row for row in rows if row["id"] != lone])
    with pytest.raises(InputError, match=f"but its manifest says {len(result.kept)} and"):
        prove(result.folder)


def test_near_duplicates_among_the_kept_are_found(run_dedup: RunDedup) -> None:
    draw = random.Random(25)
    texts = [make_text(draw, 100) for _ in range(30)]
    rows = [document(number, text) for number, text in enumerate(texts)]
    rows += [document(100 + number, edit_text(text, 2, draw)) for number, text in enumerate(texts)]
    result = run_dedup([rows], minhash={"verify_jaccard": 0.99})
    assert len(result.kept) == 60
    path = result.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["settings"]["minhash"]["verify_jaccard"] = 0.7
    path.write_text(json.dumps(manifest))
    with pytest.raises(
        InputError, match=r"60 of 60 sampled documents are near-duplicates .* the catch curve allows 3\.0"
    ):
        prove(result.folder)
