"""`inspect checkpoint`: what a checkpoint holds, and that damage is told."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tiny_run import STEPS, make_settings

from llmforge.arch.params import count_parameters
from llmforge.core.errors import InputError
from llmforge.train.inspection import find_checkpoint, inspect_checkpoint
from llmforge.train.plan import resolve_model
from llmforge.train.stage import TrainOutcome


def test_the_newest_checkpoint_of_a_run_is_read_with_its_parameters(undisturbed: TrainOutcome, folder: Path) -> None:
    facts = inspect_checkpoint(find_checkpoint(undisturbed.folder.parent))
    assert facts.state["step"] == STEPS
    weights = load_file(facts.folder / "weights.safetensors")
    assert [tensor.name for tensor in facts.parameters] == sorted(weights)
    arch = resolve_model(make_settings(folder))
    assert sum(weights[tensor.name].size for tensor in facts.parameters) == count_parameters(arch).total
    for tensor in facts.parameters:
        values = weights[tensor.name]
        assert tensor.shape == values.shape
        assert tensor.rms == pytest.approx(float((values.astype("f8") ** 2).mean() ** 0.5), rel=1e-5)
        assert tensor.largest == pytest.approx(float(abs(values).max()))
        assert tensor.optimizer == ("exp_avg", "exp_avg_sq", "step")


def test_a_checkpoint_itself_may_be_named(undisturbed: TrainOutcome) -> None:
    first = min((undisturbed.folder / "checkpoints").glob("step-????????"))
    assert find_checkpoint(first) == first


def test_neither_run_nor_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a checkpoint nor a run that has one"):
        find_checkpoint(tmp_path)


def test_the_command_prints_figures_and_exits_3_on_damage(
    undisturbed: TrainOutcome, tmp_path: Path, llmforge: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    source = find_checkpoint(undisturbed.folder.parent)
    shown = llmforge("inspect", "checkpoint", source)
    assert shown.returncode == 0
    assert f"step     {STEPS} of {STEPS}: 1,536 tokens, 96 samples" in shown.stdout
    copy = tmp_path / source.name
    copy.mkdir()
    for path in source.iterdir():
        data = bytearray(path.read_bytes())
        if path.name == "weights.safetensors":
            data[-1] ^= 1
        (copy / path.name).write_bytes(data)
    damaged = llmforge("inspect", "checkpoint", copy, "--json")
    assert damaged.returncode == 3
    assert "the SHA-256 is not the manifest's" in damaged.stderr
    assert json.loads(llmforge("inspect", "checkpoint", source, "--json").stdout)["state"]["step"] == STEPS
