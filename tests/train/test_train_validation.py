"""Validation per source: the parts add up to the whole."""

import math
from pathlib import Path

import orjson
import pytest

from llmforge.parallel.strategy import LossSum
from llmforge.tokenize.token_store import TokenStore
from llmforge.train.data import ValidationData
from llmforge.train.stage import TrainOutcome
from llmforge.train.validation import Validation


@pytest.fixture
def data(tokenized: Path) -> ValidationData:
    """The validation split of a run with two sources."""
    return ValidationData(TokenStore.open(tokenized / "tiny" / "tokenize", "val"), 16, seed=1)


def test_each_window_belongs_to_one_source(data: ValidationData) -> None:
    by_source = data.by_source(data.choose(None))
    assert sum(len(windows) for windows in by_source.values()) == data.num_windows
    assert sorted(window for windows in by_source.values() for window in windows.tolist()) == list(
        range(data.num_windows)
    )


def test_bits_per_byte_take_each_source_by_its_own_bytes(data: ValidationData) -> None:
    names = list(data.by_source(data.choose(None)))
    sums = {name: LossSum(10.0 * (place + 1), 5) for place, name in enumerate(names)}
    figures = Validation(sums, data).figures()
    assert figures["val_loss"] == pytest.approx(sum(part.loss_sum for part in sums.values()) / (5 * len(names)))
    for place, name in enumerate(names):
        expected = 2.0 * (place + 1) / math.log(2) * data.tokens_per_byte(name)
        assert figures["val_by_source"][name] == {
            "loss": pytest.approx(2.0 * (place + 1)),
            "bits_per_byte": pytest.approx(expected),
        }


def test_nothing_validated_gives_no_figure(data: ValidationData) -> None:
    assert Validation({}, data).figures() == {}


def test_the_last_line_holds_every_source_and_their_weighted_mean_is_the_whole(undisturbed: TrainOutcome) -> None:
    last = orjson.loads((undisturbed.folder / "metrics.jsonl").read_bytes().splitlines()[-1])
    store = TokenStore.open(undisturbed.folder.parent / "tokenize", "val")
    num_bytes = {shard.source: shard.num_bytes for shard in store.shards}
    assert set(last["val_by_source"]) == set(num_bytes)
    bits = sum(last["val_by_source"][name]["bits_per_byte"] * size for name, size in num_bytes.items())
    assert bits / sum(num_bytes.values()) == pytest.approx(last["val_bits_per_byte"], rel=1e-6)
    assert undisturbed.manifest is not None
    assert undisturbed.manifest.results["val_by_source"] == last["val_by_source"]
