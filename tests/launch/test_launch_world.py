"""How many processes, without loading torch."""

from pathlib import Path

import pytest

from llmforge.config.train import TrainSection
from llmforge.core.errors import SettingsError
from llmforge.launch import world
from llmforge.launch.world import choose_processes, count_gpus


@pytest.mark.parametrize(
    ("strategy", "nproc", "gpus", "chosen"),
    [
        ("auto", None, 0, ("auto", 1)),
        ("auto", None, 1, ("auto", 1)),
        ("auto", None, 4, ("ddp", 4)),
        ("auto", 2, 0, ("ddp", 2)),
        ("auto", 1, 4, ("auto", 1)),
        ("ddp", None, 4, ("ddp", 4)),
        ("ddp", 3, 0, ("ddp", 3)),
        ("single", None, 4, ("single", 1)),
    ],
)
def test_processes_follow_the_settings_and_the_machine(
    monkeypatch: pytest.MonkeyPatch, strategy: str, nproc: int | None, gpus: int, chosen: tuple[str, int]
) -> None:
    monkeypatch.setattr(world, "count_gpus", lambda: gpus)
    train = TrainSection.model_validate({"strategy": strategy, "nproc": nproc})
    assert choose_processes(train) == chosen


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "count_gpus", lambda: 0)
    with pytest.raises(SettingsError, match=r"train\.strategy is single, but train\.nproc is 2"):
        choose_processes(TrainSection(strategy="single", nproc=2))
    with pytest.raises(SettingsError, match=r"train\.strategy is ddp, but this machine has no GPU"):
        choose_processes(TrainSection(strategy="ddp"))
    with pytest.raises(SettingsError, match=r"train\.strategy is ddp, but train\.nproc is 1"):
        choose_processes(TrainSection(strategy="ddp", nproc=1))


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    assert count_gpus({}, tmp_path) == 0
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert count_gpus({}, tmp_path) == 3
    assert count_gpus({"CUDA_VISIBLE_DEVICES": "0,2"}, tmp_path) == 2
    assert count_gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == 0
    assert count_gpus({"CUDA_VISIBLE_DEVICES": "-1"}, tmp_path) == 0
