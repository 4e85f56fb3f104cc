"""Gradient norms and update-to-weight ratios: the numbers of a step that is known, and in the metrics of a run."""

import math
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import torch
from tiny_run import final_weights, make_settings
from torch import Tensor

from llmforge.train.layer_statistics import LayerStatistics
from llmforge.train.stage import TrainOutcome, train


class OneWeight:
    """As much of a strategy as is looked at: weights of norm 5 and 0, gradients of norm 2 and 1."""

    def __init__(self) -> None:
        self.weights = {"w": torch.tensor([3.0, 4.0]), "b": torch.zeros(1)}

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        yield from {"w": torch.tensor([2.0, 0.0]), "b": torch.ones(1)}.items()

    def full_state(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.weights.items()


def test_numbers_of_a_known_step() -> None:
    watch, strategy = LayerStatistics(), OneWeight()
    watch.before_update(strategy)
    strategy.weights["w"] -= 0.5 * torch.tensor([2.0, 0.0])
    assert watch.after_update(strategy) == {
        "w": {"grad_norm": 2.0, "weight_norm": 5.0, "update_to_weight": 0.2},
        "b": {"grad_norm": 1.0, "weight_norm": 0.0, "update_to_weight": None},
    }


def test_a_run_logs_them_and_trains_the_same(folder: Path, undisturbed: TrainOutcome) -> None:
    outcome = train(make_settings(folder, log_gradients=True, log_every_steps=6))
    lines = [orjson.loads(line) for line in (outcome.folder / "metrics.jsonl").read_bytes().splitlines()]
    assert [line["step"] for line in lines] == [1, 5, 6, 10, 12]
    for line in lines:
        norms = [layer["grad_norm"] for layer in line["layers"].values()]
        assert math.hypot(*norms) == pytest.approx(line["grad_norm"], rel=1e-5)
    assert 0 < lines[0]["layers"]["blocks.0.ffn.up.weight"]["update_to_weight"] < 0.1
    assert final_weights(outcome.folder) == final_weights(undisturbed.folder)
