"""Samples out of the store: windows over shards, slices by data coordinate, validation that misses no token."""

from pathlib import Path

import numpy as np
import pytest
import torch

from llmforge.core.errors import InputError
from llmforge.parallel.strategy import IGNORE
from llmforge.tokenize.packing import PADDING
from llmforge.tokenize.rows import SourceStream
from llmforge.tokenize.token_store import TokenStore, shard_paths, write_index, write_shard
from llmforge.train.data import NOTHING_DRAWN, TrainingData, ValidationData, micro_batches
from llmforge.train.plan import BatchShape
from llmforge.train.prepare import data_warnings

EOS = 0


def make_store(folder: Path, shards: dict[str, list[tuple[str, list[list[int]]]]]) -> Path:
    """Write shards of documents: {split: [(source, documents)]}."""
    written: dict = {"train": [], "val": []}
    for split, contents in shards.items():
        for number, (source, documents) in enumerate(contents):
            stem = f"{number:05d}"
            with write_shard(shard_paths(folder, split, stem), "uint16", EOS) as writer:
                for place, document in enumerate(documents):
                    writer.add(f"{source}{number}-{place}", f"url:{place}", len(document), np.array(document))
                written[split].append(writer.summary(stem, source))
    write_index(folder, 1000, EOS, written)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    first = [[*range(1, 10)], [*range(10, 25)]]
    return make_store(
        tmp_path,
        {
            "train": [("b", [[*range(100, 140)]]), ("a", first), ("b", [[*range(140, 190)]]), ("tiny", [[7]])],
            "val": [("a", [[1, 2, 3], [4, 5]]), ("b", [[9]])],
        },
    )


def training_data(store: Path, context: int = 8, weights: dict[str, float] | None = None) -> TrainingData:
    return TrainingData(TokenStore.open(store, "train"), context, weights or {}, seed=5)


def test_a_stream_reads_over_the_edge_of_shards(store: Path) -> None:
    stream = SourceStream(TokenStore.open(store, "train"), "b")
    assert stream.num_tokens == 92
    assert stream.read(38, 5).tolist() == [138, 139, EOS, 140, 141]
    assert [span.id for span in stream.documents(38, 5)] == ["b0-0", "b2-0"]


def test_windows_overlap_by_one_token_so_that_each_is_a_target_once(store: Path) -> None:
    data = training_data(store)
    assert [(share.name, share.num_windows) for share in data.shares] == [("a", 3), ("b", 11), ("tiny", 0)]
    rows = data.rows(np.arange(data.order.epoch_samples))
    assert len(rows) == 14
    targets = sorted(np.concatenate([row.targets for row in rows]).tolist())
    assert all(row.is_target.all() for row in rows)
    stream_a = [*range(1, 10), EOS, *range(10, 25), EOS]
    stream_b = [*range(100, 140), EOS, *range(140, 190), EOS]
    assert targets == sorted(stream_a[1:25] + stream_b[1:89])


def test_any_number_of_ranks_draws_the_same_global_batch(store: Path) -> None:
    data = training_data(store)
    alone = np.concatenate([batch.tokens_BT for batch in micro_batches(data, BatchShape(8, 2), step=3)])
    for world in (2, 4):
        shapes = [BatchShape(8, 2, rank, world) for rank in range(world)]
        assert {shape.accumulation for shape in shapes} == {4 // world}
        drawn = [batch.tokens_BT for shape in shapes for batch in micro_batches(data, shape, step=3)]
        assert (np.concatenate(drawn) == alone).all()


def test_targets_are_the_tokens_that_follow(store: Path) -> None:
    batch = micro_batches(training_data(store), BatchShape(2, 2), step=0)[0]
    assert (batch.tokens_BT[:, 1:] == batch.targets_BT[:, :-1]).all()


def test_the_data_hash_runs_over_all_samples(store: Path) -> None:
    data, reweighted = training_data(store), training_data(store, weights={"a": 2.0})
    first = data.hash_after(NOTHING_DRAWN, np.arange(4))
    assert data.hash_after(first, np.arange(4, 8)) != data.hash_after(NOTHING_DRAWN, np.arange(4, 8))
    assert first != reweighted.hash_after(NOTHING_DRAWN, np.arange(4))
    assert first == training_data(store).hash_after(NOTHING_DRAWN, np.arange(4))


def test_samples_are_traced_to_their_documents(store: Path) -> None:
    data = training_data(store)
    found = data.documents(np.arange(data.order.epoch_samples))
    assert {(span.id, span.url) for span in found} == {
        ("a1-0", "url:0"),
        ("a1-1", "url:1"),
        ("b0-0", "url:0"),
        ("b2-0", "url:0"),
    }


def test_document_numbers_follow_the_ends_of_documents_over_shards(store: Path) -> None:
    masked = TrainingData(TokenStore.open(store, "train"), 8, {}, seed=5, document_mask=True)
    batch = masked.batch(np.arange(masked.order.epoch_samples))
    assert training_data(store).batch(np.arange(3)).documents_BT is None
    assert batch.documents_BT is not None
    for tokens, documents in zip(batch.tokens_BT, batch.documents_BT, strict=True):
        begins = torch.cat([torch.zeros(1, dtype=torch.int64), (tokens[:-1] == EOS).long().cumsum(0)])
        assert torch.equal(documents, begins)
    # In batches of one or of many, alike.
    alone = masked.batch(np.array([2])).documents_BT
    assert alone is not None
    assert torch.equal(batch.documents_BT[2:3], alone)


def test_best_fit_rows_are_drawn_by_weight_with_padding_out_of_the_loss(store: Path) -> None:
    split = TokenStore.open(store, "train")
    data = TrainingData(split, 8, {"a": 2.0}, seed=5, packing="best_fit", document_mask=True)
    # "a" has documents of 10 and 16 tokens: pieces of 9, 2, 9 and 8; "b" of 41 and 51: pieces of 9, and one of 3.
    assert [(share.name, share.num_windows, share.num_draws) for share in data.shares] == [
        ("a", 4, 8),
        ("b", 12, 12),
        ("tiny", 1, 1),
    ]
    batch = data.batch(np.arange(data.order.epoch_samples))
    valid = batch.targets_BT != IGNORE
    assert batch.documents_BT is not None
    assert not valid[batch.documents_BT == PADDING].any()
    source_a = [*range(2, 10), *range(11, 25), EOS, EOS]  # all but the first of each document
    source_b = [*range(101, 140), *range(141, 190), EOS, EOS]
    assert sorted(batch.targets_BT[valid].tolist()) == sorted([*source_a, *source_a, *source_b, EOS])


def test_a_document_behind_another_has_its_first_token_learned(tmp_path: Path) -> None:
    long = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]  # cut behind nine tokens; the rest begins with the ninth

    def learned(documents: list[list[int]]) -> dict[tuple[int, ...], list[int]]:
        make_store(tmp_path, {"train": [("a", documents)]})
        data = TrainingData(TokenStore.open(tmp_path, "train"), 8, {}, seed=1, packing="best_fit")
        rows = data.rows(np.arange(data.order.epoch_samples))
        return {tuple(row.tokens.tolist()): row.targets[row.is_target].tolist() for row in rows}

    assert learned([[1, 2, 3], [4, 5, 6], long])[(1, 2, 3, EOS, 4, 5, 6, EOS)] == [2, 3, EOS, 4, 5, 6, EOS]
    assert learned([[1, 2, 3], long])[(1, 2, 3, EOS, 19, 20, EOS, EOS)] == [2, 3, EOS, 20, EOS]


def test_a_source_that_is_never_drawn_is_told(store: Path) -> None:
    data = training_data(store, weights={"a": 0.1})
    warnings = data_warnings(data, ValidationData(TokenStore.open(store, "val"), 8, seed=1), {"a": 0.1}, 8)
    assert warnings == [
        "source 'a' is never drawn: 3 windows of 9 tokens at a weight of 0.1",
        "source 'tiny' is never drawn: 0 windows of 9 tokens at a weight of 1",
    ]


def test_too_little_text_is_an_error(store: Path) -> None:
    with pytest.raises(InputError, match=r"holds 120 tokens, and no source fills a window of 201"):
        training_data(store, context=200)


def validation_targets(data: ValidationData, shape: BatchShape) -> list[int]:
    batches = data.batches(data.choose(None), shape)
    return [int(token) for batch in batches for token in batch.targets_BT.ravel() if token != IGNORE]


def test_every_validation_token_is_a_target_once(store: Path) -> None:
    data = ValidationData(TokenStore.open(store, "val"), 4, seed=1)
    assert data.num_windows == 3
    assert validation_targets(data, BatchShape(2, 2)) == [1, 2, 3, EOS, 4, 5, EOS, 9, EOS]
    batch = next(data.batches(data.choose(None), BatchShape(2, 3)))
    assert batch.tokens_BT.tolist() == [[EOS, 1, 2, 3], [EOS, 4, 5, EOS], [EOS, 9, EOS, EOS]]
    assert batch.targets_BT.tolist() == [[1, 2, 3, EOS], [4, 5, EOS, IGNORE], [9, EOS, IGNORE, IGNORE]]


@pytest.mark.parametrize("world", [2, 3, 4])
def test_all_ranks_validate_equally_many_batches(store: Path, world: int) -> None:
    data = ValidationData(TokenStore.open(store, "val"), 2, seed=1)
    shapes = [BatchShape(4, 1, rank, world) for rank in range(world)]
    counts = {len(list(data.batches(data.choose(None), shape))) for shape in shapes}
    assert len(counts) == 1
    together = sorted(token for shape in shapes for token in validation_targets(data, shape))
    assert together == sorted(validation_targets(data, BatchShape(4, 1)))


def test_validation_tells_documents_where_the_mask_is_on(store: Path) -> None:
    data = ValidationData(TokenStore.open(store, "val"), 4, seed=1, document_mask=True)
    batch = next(data.batches(data.choose(None), BatchShape(2, 3)))
    # The windows are EOS 1 2 3, EOS 4 5 EOS (the first EOS ends document 1 2 3) and EOS 9.
    assert batch.documents_BT is not None
    assert batch.documents_BT.tolist() == [[0, 1, 1, 1], [0, 1, 1, PADDING], [0, 1, PADDING, PADDING]]
    plain = ValidationData(TokenStore.open(store, "val"), 4, seed=1)
    assert next(plain.batches(plain.choose(None), BatchShape(2, 3))).documents_BT is None


def test_a_part_of_validation_is_always_the_same_part(store: Path) -> None:
    data = ValidationData(TokenStore.open(store, "val"), 2, seed=1)
    assert len(data.choose(4)) == 2
    assert data.choose(4).tolist() == data.choose(4).tolist()
    assert data.choose(10**6).tolist() == list(range(data.num_windows))


def test_an_empty_validation_split_has_no_batches(tmp_path: Path) -> None:
    make_store(tmp_path, {"train": [("a", [[1, 2]])]})
    data = ValidationData(TokenStore.open(tmp_path, "val"), 2, seed=1)
    assert data.num_windows == 0
    assert list(data.batches(data.choose(None), BatchShape(1, 1))) == []
