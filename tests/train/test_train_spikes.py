"""Spikes: told by the steps before, passed over or rolled back, and decided alike by a resumed run."""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tiny_run import final_weights, losses, make_settings

from llmforge.config.train import SpikeSection
from llmforge.parallel.strategy import StepResult
from llmforge.train.faults import VARIABLE
from llmforge.train.spikes import find_spike, remember
from llmforge.train.stage import train

SPIKES = {"window_steps": 4, "deviations": 50.0}


def test_a_spike_stands_far_above_the_mean() -> None:
    section = SpikeSection(policy="skip", window_steps=4, deviations=3.0)
    recent = ((4.0, 1.0), (2.0, 1.0), (4.0, 1.0), (2.0, 1.0))  # losses: mean 3, standard deviation 1
    assert find_spike(section, recent, StepResult(60.0, 10, 1.0)) is None
    spike = find_spike(section, recent, StepResult(60.1, 10, 1.0))
    assert spike == "loss 6.01 is over 6, the mean of the last 4 steps (3) and 3 standard deviations"
    assert "gradient norm 1.5 is over 1" in (find_spike(section, recent, StepResult(30.0, 10, 1.5)) or "")
    assert find_spike(section, recent[:1], StepResult(900.0, 10, 9.0)) is None
    assert find_spike(SpikeSection(), recent, StepResult(900.0, 10, 9.0)) is None


def test_only_as_many_steps_are_remembered_as_count() -> None:
    section = SpikeSection(policy="skip", window_steps=4)
    recent = ((1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0))
    assert remember(section, recent, StepResult(50.0, 10, 2.0)) == (*recent[1:], (5.0, 2.0))
    assert remember(SpikeSection(), (), StepResult(50.0, 10, 2.0)) == ()


@pytest.mark.parametrize(("policy", "event"), [("skip", "skipped"), ("rollback", "rolled-back")])
def test_a_spike_is_passed_over_and_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, policy: str, event: str
) -> None:
    monkeypatch.setenv(VARIABLE, "spike@step=7")
    outcome = train(make_settings(folder, spikes={"policy": policy, **SPIKES}))
    told = [orjson.loads(line) for line in (outcome.folder / "ledger.jsonl").read_bytes().splitlines()]
    assert [(line["event"], line["step"]) for line in told] == [(event, 7)]
    assert told[0]["checkpoint"] == (None if policy == "skip" else "step-00000004")
    assert told[0]["documents"]
    lines = [orjson.loads(line) for line in (outcome.folder / "metrics.jsonl").read_bytes().splitlines()]
    assert lines[6]["loss"] > 50 * lines[5]["loss"]
    assert all(line["loss"] < 2 * lines[5]["loss"] for line in lines[7:])
    assert lines[-1]["tokens"] == lines[0]["tokens"] * 12


def test_a_resumed_run_decides_as_the_undisturbed_one(
    folder: Path, tmp_path: Path, train_apart: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the roll-back and before the next checkpoint: the spike is met, and undone, once more."""
    other = tmp_path / "other"
    other.mkdir()
    for name in ("text.jsonl", "tiny"):
        source = folder / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, other / name)
    spikes = {"policy": "rollback", **SPIKES}
    killed = train_apart(make_settings(other, spikes=spikes), **{VARIABLE: "spike@step=7;kill@step=8"})
    assert killed.wait(timeout=120) == -signal.SIGKILL
    monkeypatch.setenv(VARIABLE, "spike@step=7")
    resumed = train(make_settings(other, spikes=spikes))
    undisturbed = train(make_settings(folder, spikes=spikes))
    assert losses(resumed.folder) == losses(undisturbed.folder)
    assert final_weights(resumed.folder) == final_weights(undisturbed.folder)
