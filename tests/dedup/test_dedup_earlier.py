import random
from collections.abc import Callable
from pathlib import Path

import pytest
from deduplicating import Result, Row, document, edit_text, make_corpus, make_text

from llmforge.core.errors import InputError
from llmforge.core.shards import read_objects, shard_writer
from llmforge.dedup.evidence import read_removals
from llmforge.dedup.proof import prove

RunDedup = Callable[..., Result]


@pytest.fixture
def batches() -> tuple[list[Row], list[Row]]:
    """A first batch, and a second one of exact and edited copies of it and documents of its own."""
    draw = random.Random(0)
    first = [document(number, make_text(draw, 120)) for number in range(30)]
    copies = [first[3]["text"], first[4]["text"] + " and longer now", edit_text(first[5]["text"], 2, draw)]
    second = [document(100 + number, text) for number, text in enumerate([*copies, copies[0], make_text(draw, 120)])]
    return first, second


def test_a_second_batch_is_held_against_the_first_without_reading_its_text(
    run_dedup: RunDedup, batches: tuple[list[Row], list[Row]]
) -> None:
    rows, more = batches
    first = run_dedup([rows[:10], rows[10:]], keep_index=True)
    shards = {path: path.read_bytes() for path in (first.folder / "data").iterdir()}
    for path, data in shards.items():
        path.write_bytes(bytes(len(data)))
    second = run_dedup([more], against=(str(first.folder),))
    for path, data in shards.items():
        path.write_bytes(data)

    assert second.kept_ids == {f"{104:032x}"}
    gone = {int(row["id"], 16): (int(row["kept_id"], 16), row["method"]) for row in second.removed}
    assert gone == {100: (3, "exact"), 101: (4, "minhash"), 102: (5, "minhash"), 103: (3, "exact")}
    for row in second.removed:
        assert row["kept_in"] == str(first.folder)
        path = first.folder / "data" / f"{row['kept_shard']:05d}.jsonl.zst"
        assert row["kept_id"] in {kept["id"] for kept in read_objects(path)}
    shown = list(read_removals(second.folder, 9))
    assert [one.kept["id"] for one in shown] == [one.removed["kept_id"] for one in shown]
    proof = prove(second.folder)
    assert (proof.kept, proof.removed) == (1, 4)


def test_a_third_batch_is_held_against_both(run_dedup: RunDedup) -> None:
    draw = random.Random(1)
    texts = [make_text(draw, 80) for _ in range(3)]
    rows = [document(number, text) for number, text in enumerate(texts)]
    one = run_dedup([rows[:1]], keep_index=True)
    two = run_dedup([rows[:2]], keep_index=True, against=(str(one.folder),), max_drop_share=1)
    three = run_dedup([rows], against=(str(one.folder), str(two.folder)), workers=2)
    assert two.kept_ids == {f"{1:032x}"}
    assert three.kept_ids == {f"{2:032x}"}
    assert {row["kept_in"] for row in three.removed} == {str(one.folder), str(two.folder)}


def test_two_batches_keep_what_one_run_over_both_would(run_dedup: RunDedup) -> None:
    rows = make_corpus(2)
    one = run_dedup([rows[:60]], keep_index=True)
    two = run_dedup([rows[60:]], against=(str(one.folder),))
    again = run_dedup([rows[60:]], against=(str(one.folder),), workers=2)
    assert two.outcome == again.outcome
    assert one.kept_ids.isdisjoint(two.kept_ids)
    assert len(two.kept_ids) + len(two.removed) == len(rows) - 60


def test_documents_that_were_removed_are_not_in_the_index(run_dedup: RunDedup) -> None:
    text = make_text(random.Random(3), 90)
    one = run_dedup([[document(1, text), document(2, text)]], keep_index=True)
    two = run_dedup([[document(3, text)]], against=(str(one.folder),))
    assert [row["kept_id"] for row in two.removed] == list(one.kept_ids)


def test_an_artifact_that_cannot_be_held_against_is_refused(
    run_dedup: RunDedup, batches: tuple[list[Row], list[Row]], tmp_path: Path
) -> None:
    rows, more = batches
    with pytest.raises(InputError, match="keeps no index"):
        run_dedup([more], against=(str(run_dedup([rows]).folder),))
    first = run_dedup([rows], keep_index=True)
    with pytest.raises(InputError, match=r"made with dedup.exact True, here it is False"):
        run_dedup([more], against=(str(first.folder),), exact=False)
    with pytest.raises(InputError, match=r"made with dedup.minhash .*rows=8.*, here it is .*rows=4"):
        run_dedup([more], against=(str(first.folder),), minhash={"rows": 4})
    with pytest.raises(InputError, match="has not finished"):
        run_dedup([more], against=(str(tmp_path / "absent"),))


def test_a_keeper_that_is_gone_from_the_earlier_artifact_is_found_out(
    run_dedup: RunDedup, batches: tuple[list[Row], list[Row]]
) -> None:
    rows, more = batches
    first = run_dedup([rows], keep_index=True)
    second = run_dedup([more], against=(str(first.folder),))
    with shard_writer(first.folder / "data" / "00000.jsonl.zst") as shard:
        shard.write(rows[0])
    with pytest.raises(InputError, match="should stand for removed documents, but is not in"):
        prove(second.folder)
