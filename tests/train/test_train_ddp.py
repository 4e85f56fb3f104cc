"""Several processes under torchrun: one order of samples, one decision, one outcome."""

import sys
import time
from pathlib import Path

import orjson
import pytest
from tiny_run import final_weights, losses, make_settings

from llmforge.config.schema import Settings
from llmforge.core.errors import DivergedError, MachineError, Preempted
from llmforge.launch.torchrun import conclude, rank_environment, run_and_wait
from llmforge.train.faults import VARIABLE
from llmforge.train.stage import TrainOutcome
from llmforge.train.status import StatusFolder

pytestmark = pytest.mark.dist


def train_in_two(settings: Settings, faults: str = "") -> None:
    """What `launch_training` does, around a script that needs no YAML file."""
    status = StatusFolder(settings.run_folder / "train")
    status.clear()
    script = str(Path(__file__).with_name("train_apart.py"))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = rank_environment(threads=1) | {VARIABLE: faults, "PYTHONPATH": str(Path(__file__).parents[2])}
    conclude(status, run_and_wait([*torchrun, script, settings.model_dump_json()], environment, status))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_two_processes_draw_the_same_samples_and_resume_exactly(
    folder: Path, tokenized: Path, undisturbed: TrainOutcome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    train_in_two(make_settings(folder))
    train_folder = folder / "tiny/train"
    in_one_go, weights = losses(train_folder), final_weights(train_folder)
    assert [line[-1] for line in in_one_go] == [line[-1] for line in losses(undisturbed.folder)]

    train_folder.rename(folder / "kept")
    with pytest.raises(Preempted, match="stopped on request after step 6 of 12"):
        train_in_two(make_settings(folder), "term@step=6,rank=1")
    assert len(losses(train_folder)) == 6
    train_in_two(make_settings(folder))
    assert losses(train_folder) == in_one_go
    assert final_weights(train_folder) == weights
    state = orjson.loads((train_folder / "checkpoints/step-00000012/state.json").read_bytes())
    assert (state["strategy"], state["processes"], state["samples"]) == ("ddp", 2, 96)


@pytest.mark.timeout(180)
def test_what_is_not_finite_on_one_rank_stops_all_with_that_cause(folder: Path) -> None:
    with pytest.raises(DivergedError, match=r"rank \d: step 3: loss nan.*The batch holds \d+ documents: .*topic:"):
        train_in_two(make_settings(folder), "nan@step=3,rank=1")
    status = StatusFolder(folder / "tiny/train").read()
    assert status is not None
    assert (status.state, status.exit_code) == ("diverged", 5)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_rank_that_dies_without_a_word_is_told(folder: Path) -> None:
    with pytest.raises(MachineError, match="died without a word"):
        train_in_two(make_settings(folder), "kill@step=3,rank=1")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_stopped_rank_ends_the_training_in_bounded_time(folder: Path) -> None:
    start_s = time.monotonic()
    with pytest.raises(
        MachineError, match=r"nothing has gone on for 5 s \(after step 4\): a rank hangs, or was stopped"
    ):
        train_in_two(make_settings(folder, hang_timeout_s=5.0), "stop@step=5,rank=1")
    assert time.monotonic() - start_s < 90  # 5 s, torchrun's 30 s of grace, and the start
    train_in_two(make_settings(folder))
    assert len(losses(folder / "tiny/train")) == 12
