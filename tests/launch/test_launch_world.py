"""How many processes, without loading torch."""

from pathlib import Path

import pytest

from llmforge.config.schema import Settings
from llmforge.core.errors import MachineError, SettingsError
from llmforge.launch import world
from llmforge.launch.world import choose_processes, count_gpus


def settings(**train: object) -> Settings:
    batch = {"global_batch_tokens": 12 * 64, "micro_batch_sequences": 1}
    return Settings.model_validate({"model": {"preset": "gpt2-nano"}, "train": batch | train})


@pytest.mark.parametrize(
    ("strategy", "nproc", "gpus", "chosen"),
    [
        ("auto", None, 0, ("single", 1)),
        ("auto", None, 1, ("single", 1)),
        ("auto", None, 4, ("ddp", 4)),
        ("auto", 2, 0, ("ddp", 2)),
        ("auto", 1, 4, ("single", 1)),
        ("zero2", 2, 0, ("zero2", 2)),
        ("ddp", None, 4, ("ddp", 4)),
        ("ddp", 3, 0, ("ddp", 3)),
        ("single", None, 4, ("single", 1)),
    ],
)
def test_processes_follow_the_settings_and_the_machine(
    monkeypatch: pytest.MonkeyPatch, strategy: str, nproc: int | None, gpus: int, chosen: tuple[str, int]
) -> None:
    monkeypatch.setattr(world, "count_gpus", lambda: gpus)
    assert choose_processes(settings(strategy=strategy, nproc=nproc)) == chosen


def test_contradictions_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "count_gpus", lambda: 0)
    with pytest.raises(SettingsError, match=r"train\.strategy: it is single, but there are 2 processes"):
        choose_processes(settings(strategy="single", nproc=2))
    for nproc in (None, 1):
        with pytest.raises(SettingsError, match=r"train\.strategy: it is ddp, but there is one process"):
            choose_processes(settings(strategy="ddp", nproc=nproc))


def test_a_missing_library_is_told_before_anything_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmforge.parallel.zero_config.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="DeepSpeed is not installed, and the strategies zero1") as error:
        choose_processes(settings(strategy="zero3", nproc=2))
    assert error.value.exit_code == 4
    assert "fsdp shards the same without it" in (error.value.hint or "")


def test_several_machines_are_started_one_by_one() -> None:
    with pytest.raises(SettingsError, match=r"train\.nodes is 4, and this command starts processes on one") as error:
        choose_processes(settings(strategy="ddp", nproc=8, nodes=4))
    assert "torchrun --nnodes 4 --nproc-per-node 8" in (error.value.hint or "")


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    assert count_gpus({}, tmp_path) == 0
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert count_gpus({}, tmp_path) == 3
    assert count_gpus({"CUDA_VISIBLE_DEVICES": "0,2"}, tmp_path) == 2
    assert count_gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == 0
    assert count_gpus({"CUDA_VISIBLE_DEVICES": "-1"}, tmp_path) == 0
