"""fp16: losses are scaled, an overflow costs one step and is told, and the scale is part of a checkpoint."""

import math

import orjson
import pytest
from tiny_run import make_settings

from llmforge.config.schema import Settings
from llmforge.model.saved import STATE, checkpoints
from llmforge.parallel.strategy import StepResult
from llmforge.train import loss_scale
from llmforge.train.loss_scale import LossScale
from llmforge.train.stage import train


def result(loss: float, grad_norm: float) -> StepResult:
    return StepResult(loss * 10, 10, grad_norm)


def test_gradients_overflow_and_losses_diverge() -> None:
    scale = LossScale(8.0)
    assert scale.overflowed(result(2.0, math.inf))
    assert scale.overflowed(result(2.0, math.nan))
    assert not scale.overflowed(result(2.0, 1.0))
    assert not scale.overflowed(result(math.nan, math.nan))  # no smaller scale would help
    assert not LossScale(1.0).overflowed(result(2.0, math.inf))


def test_the_scale_falls_at_once_and_rises_after_many_good_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_scale, "_GROW_AFTER_STEPS", 3)
    scale = LossScale(8.0)
    values = []
    for overflow in (True, False, False, False, False, True):
        scale = scale.after(overflow=overflow)
        values.append((scale.value, scale.good_steps))
    assert values == [(4.0, 0), (4.0, 1), (4.0, 2), (8.0, 0), (8.0, 1), (4.0, 0)]
    assert LossScale(1.0).after(overflow=True) == LossScale(1.0)
    assert LossScale(2.0**24, 2).after(overflow=False) == LossScale(2.0**24, 3)


def fp16_settings(folder, **changes) -> Settings:
    return make_settings(folder, precision="fp16", **changes)


def test_an_overflow_costs_a_step_and_is_told(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scale at which every gradient of fp16 is infinite comes down until they are not."""
    monkeypatch.setattr("llmforge.train.session.LossScale", lambda: LossScale(2.0**40))
    outcome = train(fp16_settings(folder))
    ledger = [orjson.loads(line) for line in (outcome.folder / "ledger.jsonl").read_bytes().splitlines()]
    overflows = [entry for entry in ledger if entry["event"] == "loss-scale"]
    assert [entry["scale"] for entry in overflows] == [2.0 ** (39 - number) for number in range(len(overflows))]
    assert 1 <= len(overflows) < 16
    metrics = [orjson.loads(line) for line in (outcome.folder / "metrics.jsonl").read_bytes().splitlines()]
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    assert metrics[-1]["loss_scale"] == overflows[-1]["scale"]


def test_fp16_learns_as_fp32_does_and_its_scale_is_saved(folder, undisturbed) -> None:
    outcome = train(fp16_settings(folder))
    saved = orjson.loads((next(iter(checkpoints(outcome.folder))) / STATE).read_bytes())
    assert saved["loss_scale"] == {"value": 65536.0, "good_steps": saved["step"]}
    ours, theirs = (
        [orjson.loads(line)["loss"] for line in (one.folder / "metrics.jsonl").read_bytes().splitlines()]
        for one in (outcome, undisturbed)
    )
    assert ours != theirs
    assert ours == pytest.approx(theirs, rel=2e-3)
