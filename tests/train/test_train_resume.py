"""A run that is killed, stopped or finds damage goes on, and ends with the bits of an undisturbed one."""

import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tiny_run import STEPS, final_weights, losses, make_settings

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, Preempted
from llmforge.pipeline.manifest import read_manifest
from llmforge.train.faults import VARIABLE
from llmforge.train.stage import TrainOutcome, train

Apart = Callable[..., subprocess.Popen[str]]


def assert_equal_to(undisturbed: TrainOutcome, folder: Path) -> None:
    """Losses, gradient norms, data hashes and final weights are those of the run that was not disturbed."""
    assert losses(folder / "tiny/train") == losses(undisturbed.folder)
    assert final_weights(folder / "tiny/train") == final_weights(undisturbed.folder)


@pytest.mark.parametrize("step", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_exactly(folder: Path, undisturbed: TrainOutcome, train_apart: Apart, step: int) -> None:
    settings = make_settings(folder)
    assert train_apart(settings, **{VARIABLE: f"kill@step={step}"}).wait(timeout=120) == -signal.SIGKILL
    outcome = train(settings)
    assert (outcome.status, outcome.manifest and outcome.manifest.sessions) == ("resumed", 2)
    assert_equal_to(undisturbed, folder)


def test_a_run_killed_between_checkpoints_goes_on_exactly(stopped: Settings, undisturbed: TrainOutcome) -> None:
    assert len(losses(stopped.run_folder / "train")) == 9
    train(stopped)
    assert_equal_to(undisturbed, stopped.run_folder.parent)


def test_sigterm_saves_and_ends_with_75(folder: Path, undisturbed: TrainOutcome, train_apart: Apart) -> None:
    settings = make_settings(folder)
    process = train_apart(settings, **{VARIABLE: "term@step=6"})
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 75, messages
    assert "stopped on request after step 6 of 12; the state is saved" in messages
    status = orjson.loads((folder / "tiny/train/status.json").read_bytes())
    assert (status["state"], status["exit_code"]) == ("preempted", 75)
    assert read_manifest(folder / "tiny/train").state == "preempted"
    assert (folder / "tiny/train/checkpoints/latest").read_text() == "step-00000006\n"
    train(settings)
    assert_equal_to(undisturbed, folder)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_newest_checkpoint_costs_time_and_no_exactness(
    stopped: Settings, undisturbed: TrainOutcome, caplog: pytest.LogCaptureFixture
) -> None:
    folder = stopped.run_folder / "train"
    flip_a_bit(folder / "checkpoints/step-00000008/weights.safetensors")
    train(stopped)
    assert "checkpoint step-00000008 is damaged" in caplog.text
    assert "SHA-256" in caplog.text
    events = [orjson.loads(line) for line in (folder / "ledger.jsonl").read_bytes().splitlines()]
    assert [(event["event"], event["step"], event["damaged_step"]) for event in events] == [("fall-back", 4, 8)]
    assert_equal_to(undisturbed, stopped.run_folder.parent)
    assert not list((folder / "checkpoints").glob("*.damaged"))


def test_no_whole_checkpoint_is_an_error_and_never_a_fresh_start(stopped: Settings, undisturbed: TrainOutcome) -> None:
    checkpoints = stopped.run_folder / "train/checkpoints"
    flip_a_bit(checkpoints / "step-00000004/optimizer.safetensors")
    (checkpoints / "step-00000008/state.json").unlink()
    for _ in range(2):  # the second attempt is no fresh start either
        with pytest.raises(InputError, match="there are checkpoints, and none of them is whole") as error:
            train(stopped)
        assert error.value.exit_code == 3
    train(stopped, force=True)
    assert_equal_to(undisturbed, stopped.run_folder.parent)


def test_a_checkpoint_of_another_training_is_refused(stopped: Settings, undisturbed: TrainOutcome) -> None:
    checkpoints = stopped.run_folder / "train/checkpoints"
    other = make_settings(stopped.run_folder.parent, optimizer={"lr": 1e-3})
    shutil.copytree(checkpoints, checkpoints.parent.parent / "kept")
    with pytest.raises(InputError, match=r"train.optimizer.lr: was absent \(or the default\), now 0.001"):
        train(other)
    train(other, force=True)
    shutil.rmtree(checkpoints / f"step-{STEPS:08d}")
    shutil.copytree(checkpoints.parent.parent / "kept/step-00000008", checkpoints / f"step-{STEPS:08d}")
    with pytest.raises(InputError, match="belongs to a training with other settings or inputs"):
        train(make_settings(stopped.run_folder.parent, optimizer={"lr": 1e-3}, tokens=2 * STEPS * 128))


def test_a_leftover_of_a_killed_save_is_removed(stopped: Settings, undisturbed: TrainOutcome) -> None:
    checkpoints = stopped.run_folder / "train/checkpoints"
    (checkpoints / "step-00000012.partial").mkdir()
    (checkpoints / "step-00000012.partial/weights.safetensors").write_bytes(b"half")
    train(stopped)
    assert sorted(path.name for path in checkpoints.iterdir()) == ["latest", "step-00000008", "step-00000012"]
    assert_equal_to(undisturbed, stopped.run_folder.parent)


def test_latest_is_only_a_hint(stopped: Settings, undisturbed: TrainOutcome) -> None:
    (stopped.run_folder / "train/checkpoints/latest").write_text("step-99999999\n")
    train(stopped)
    assert_equal_to(undisturbed, stopped.run_folder.parent)


def test_preempted_is_an_error_in_one_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmforge.train.guards import StopRequest

    monkeypatch.setattr(StopRequest, "agreed", lambda _: True)
    with pytest.raises(Preempted, match=r"stopped on request after step 0 of 12; the state is saved") as error:
        train(make_settings(folder))
    assert error.value.exit_code == 75
