"""Checkpoints that are published beside the training: absent until proven, and of the moment of saving."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_run import make_settings

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.config.train import CheckpointSection, OptimizerSection
from llmforge.core.errors import DivergedError, MachineError
from llmforge.model.saved import WEIGHTS, checkpoints, open_tensors
from llmforge.model.transformer import Transformer
from llmforge.parallel.process_group import join_world
from llmforge.parallel.torch_native import TorchNative
from llmforge.train import checkpoint
from llmforge.train.checkpoint import Checkpoints, Position
from llmforge.train.faults import VARIABLE
from llmforge.train.optimizers import build_optimizer
from llmforge.train.stage import train

ARCH = resolve_architecture(ModelSection(preset="gpt2", layers=1, dim=16, heads=2, context=8), 40)
NAME = "final_norm.weight"


@pytest.fixture
def strategy() -> TorchNative:
    strategy = TorchNative("single", join_world(), precision="fp32", max_grad_norm=1.0)
    strategy.prepare(lambda: Transformer(ARCH), build_optimizer(OptimizerSection()), seed=1)
    return strategy


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Checkpoints]:
    section = CheckpointSection(keep_last=2)
    with Checkpoints(tmp_path / "checkpoints", ARCH, {"fingerprint": "f"}, section, join_world()) as opened:
        yield opened


def test_a_checkpoint_is_not_there_before_it_is_hashed(
    saved: Checkpoints, strategy: TorchNative, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, hash_file = threading.Event(), checkpoint.hash_file

    def slow_hash(path: Path) -> str:
        assert go_on.wait(60)
        return hash_file(path)

    monkeypatch.setattr(checkpoint, "hash_file", slow_hash)
    saved.save(Position(step=1), strategy)
    set_weight(strategy, 7.0)  # training goes on
    assert saved.settle(wait=False) is None
    assert list(checkpoints(tmp_path)) == []
    go_on.set()
    assert saved.settle(wait=True) == Position(step=1)
    (found,) = checkpoints(tmp_path)
    assert read_weight(found) == 1.0  # as it was when save() was called
    assert saved.settle(wait=True) is None


def test_every_checkpoint_holds_its_own_weights(saved: Checkpoints, strategy: TorchNative, tmp_path: Path) -> None:
    for step in range(1, 4):
        set_weight(strategy, float(step))
        saved.settle(wait=True)
        saved.save(Position(step=step), strategy)
    saved.settle(wait=True)
    assert [(path.name, read_weight(path)) for path in checkpoints(tmp_path)] == [
        ("step-00000003", 3.0),
        ("step-00000002", 2.0),
    ]


def test_a_state_that_is_not_finite_is_told_and_leaves_the_one_before(
    saved: Checkpoints, strategy: TorchNative, tmp_path: Path
) -> None:
    saved.save(Position(step=1), strategy)
    saved.settle(wait=True)
    set_weight(strategy, float("nan"))
    saved.save(Position(step=2), strategy)
    with pytest.raises(DivergedError, match=f"{NAME} holds values that are not finite"):
        saved.settle(wait=True)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000001"]


def test_what_is_begun_is_published_when_training_ends_in_an_error(strategy: TorchNative, tmp_path: Path) -> None:
    def train() -> None:
        with Checkpoints(tmp_path / "checkpoints", ARCH, {}, CheckpointSection(), join_world()) as opened:
            opened.save(Position(step=1), strategy)
            raise DivergedError("loss is not finite")

    with pytest.raises(DivergedError):
        train()
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000001"]


def test_a_checkpoint_that_is_lost_when_training_ends_is_told(
    strategy: TorchNative, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> str:
        raise MachineError("the disk is full")

    def train() -> None:
        with Checkpoints(tmp_path / "checkpoints", ARCH, {}, CheckpointSection(), join_world()) as opened:
            opened.save(Position(step=1), strategy)
            raise DivergedError("loss is not finite")

    monkeypatch.setattr(checkpoint, "hash_file", fail)
    with pytest.raises(DivergedError):
        train()
    assert "the checkpoint that was being published is lost: the disk is full" in caplog.text


def test_weights_that_are_not_finite_are_told_before_the_loss_they_lead_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_late(path: Path) -> None:
        time.sleep(0.5)  # the next step is over by then
        raise DivergedError("a weight is not finite")

    monkeypatch.setattr(checkpoint, "check_finite", find_late)
    monkeypatch.setenv(VARIABLE, "nan@step=5")
    settings = make_settings(folder, checkpoint={"every_steps": 4})
    with pytest.raises(DivergedError, match="a weight is not finite"):
        train(settings)
    ledger = settings.run_folder / "train" / "ledger.jsonl"
    assert not ledger.exists() or b"diverged" not in ledger.read_bytes()  # no document is blamed


def set_weight(strategy: TorchNative, value: float) -> None:
    with torch.no_grad():
        strategy._parameters[NAME].fill_(value)


def read_weight(folder: Path) -> float:
    with open_tensors(folder / WEIGHTS) as file:
        return float(file.get_tensor(NAME)[0])
