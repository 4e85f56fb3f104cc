"""Which strategy a training takes, and what --dry-run foretells, for worlds that this machine is not."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from llmforge.arch.presets import resolve_architecture
from llmforge.config.run import RunSection
from llmforge.config.schema import Settings
from llmforge.config.train import TrainSection
from llmforge.core.errors import SettingsError
from llmforge.train import placement
from llmforge.train.forecast import plan_training
from llmforge.train.placement import choose_layout, find_problems
from llmforge.train.record import Record

GIB = 2**30


def settings(device_gib: float | None = None, **train: Any) -> Settings:
    batch = {"global_batch_tokens": 64 * 1024, "micro_batch_sequences": 1, "tokens": 10**9}
    device = {} if device_gib is None else {"device_memory_bytes": int(device_gib * GIB)}
    return Settings.model_validate(
        {
            "run": {"dir": "/nowhere"},
            "tokenize": {"vocab_size": 50_257},
            "model": {"preset": "gpt2-xl"},
            "plan_scaling": device,
            "train": batch | train,
        }
    )


def choose(given: Settings, world: int) -> tuple[str, str]:
    arch = resolve_architecture(given.model, given.tokenize.vocab_size)
    name, layout, reason = choose_layout(given, arch, world)
    assert layout.world == world
    return name, reason


@pytest.mark.parametrize(("device_gib", "name"), [(80, "ddp"), (24, "zero1"), (17, "zero2"), (10, "fsdp")])
def test_auto_takes_the_cheapest_that_fits(device_gib: float | None, name: str) -> None:
    chosen, reason = choose(settings(device_gib), 8)
    assert chosen == name, reason
    assert ("ddp would need" in reason) == (name != "ddp")


@pytest.mark.parametrize(("machine_gib", "name"), [(640, "ddp"), (192, "zero1")])
def test_auto_shares_this_machines_memory_where_no_device_is_named(machine_gib, name, monkeypatch) -> None:
    monkeypatch.setattr(placement, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(placement, "memory_bytes", lambda: machine_gib * GIB)
    chosen, reason = choose(settings(), 8)
    assert chosen == name
    assert f"of {machine_gib / 8:g} GiB (this machine's memory, shared by 8 processes)" in reason


def test_auto_asks_the_gpus_driver_and_takes_ddp_where_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(placement, "gpu_memory_bytes", lambda: 24 * GIB)
    assert choose(settings(), 8)[0] == "zero1"
    assert choose(settings(nodes=2), 8) == (
        "ddp",
        "there are 8 processes, and plan_scaling.device_memory_bytes names no limit",
    )


def test_auto_on_a_machine_that_is_too_small_takes_what_needs_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(placement, "memory_bytes", lambda: 16 * GIB)
    name, reason = choose(settings(), 8)
    assert name == "fsdp"
    assert "though more than 2 GiB (this machine's memory, shared by 8 processes)" in reason


def test_auto_on_one_process_is_single() -> None:
    assert choose(settings(1), 1) == ("single", "there is one process")


def test_auto_without_deepspeed_takes_fsdp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "find_spec", lambda name: None)
    assert choose(settings(24), 8)[0] == "fsdp"


def test_auto_that_fits_nowhere_says_what_each_would_need() -> None:
    with pytest.raises(
        SettingsError, match=r"no strategy fits 8 processes with 2 GiB .* each: ddp needs .*zero3 needs"
    ):
        choose(settings(2), 8)


def test_every_problem_of_a_named_strategy_is_told_at_once() -> None:
    given = settings(strategy="tensor", global_batch_tokens=1000)
    with pytest.raises(SettingsError) as error:
        choose(given, 8)
    assert "tensor cannot run on 8 processes" in error.value.what
    assert "train.parallel.tensor: 8 tensor ranks do not divide 25 heads" in error.value.what
    assert "hint: nearest degrees that divide all that is split: 1\n" in error.value.what
    assert "train.global_batch_tokens: 1,000 tokens a step are no multiple" in error.value.what


def test_degrees_that_make_no_whole_do_not_hide_the_other_problems() -> None:
    given = settings(strategy="2d", parallel={"tensor": 3, "pipeline": 2}, global_batch_tokens=1024 * 7)
    with pytest.raises(SettingsError, match="2d cannot run on 8 processes") as error:
        choose(given, 8)
    assert "= 6 processes, but there are 8" in error.value.what
    assert "3 tensor ranks do not divide 25 heads" in error.value.what


def test_auto_leaves_zero_out_where_the_optimizer_needs_whole_matrices() -> None:
    assert choose(settings(24, optimizer={"name": "muon"}), 8)[0] == "fsdp"
    given = settings(optimizer={"name": "muon"})
    arch = resolve_architecture(given.model, 50_257)
    (problem,) = find_problems(given, arch, "zero2", 8)
    assert problem.path == ("train", "optimizer", "name")


@pytest.mark.parametrize(
    ("strategy", "section", "words"),
    [
        ("zero2", {"parallel": {"tensor": 2}}, "its settings are for the torch-native strategies; zero2 reads none"),
        ("fsdp", {"zero": {"offload_optimizer": True}}, "its settings are for DeepSpeed, and fsdp reads none of them"),
        ("zero2", {"zero": {"offload_parameters": True}}, "zero2, which does not shard parameters"),
        ("zero3", {"parallel": {"activation_checkpointing": "selective"}}, "selective does not go with zero3"),
        ("zero1", {"zero": {"extra": {"gradient_clipping": 1.0}}}, "sets gradient_clipping, which llmforge sets"),
    ],
)
def test_what_the_engine_would_not_read_or_allow_is_refused(strategy: str, section: Any, words: str) -> None:
    given = settings(**section)
    (problem,) = find_problems(given, resolve_architecture(given.model, 50_257), strategy, 8)
    assert words in problem.what
    assert problem.hint


@pytest.mark.parametrize(
    ("strategy", "values", "words"),
    [
        ("zero2", {"precision": "fp16"}, "fp16 does not work under zero2"),
        ("pipeline", {"compile": True}, "blocks are not compiled under pipeline, where collectives run inside them"),
    ],
)
def test_precision_and_compiling_have_to_suit_the_strategy(strategy: str, values: dict[str, Any], words: str) -> None:
    given = settings(**values)
    (problem,) = find_problems(given, resolve_architecture(given.model, 50_257), strategy, 4)
    assert (problem.what, bool(problem.hint)) == (words, True)
    assert find_problems(given, resolve_architecture(given.model, 50_257), "fsdp", 8) == []


def test_fp16_under_a_named_zero_strategy_is_a_settings_error() -> None:
    with pytest.raises(ValidationError, match="fp16 does not work under zero1: DeepSpeed scales fp16 losses"):
        TrainSection(strategy="zero1", precision="fp16")


def test_activation_checkpointing_goes_with_zero() -> None:
    given = settings(parallel={"activation_checkpointing": "full"})
    assert find_problems(given, resolve_architecture(given.model, 50_257), "zero3", 8) == []


def test_what_auto_chose_stays_on_resume(tmp_path: Path) -> None:
    given = settings(17).model_copy(update={"run": RunSection(name="x", dir=str(tmp_path))})
    record = Record(given.run_folder / "train", given, {}, None)
    record.manifest.execution = {"strategy": "zero1", "processes": 8}
    record.write("preempted")
    assert choose(given, 8) == ("zero1", "this training began with it")
    assert choose(given, 16)[1] != "this training began with it"
    record.manifest.execution = {"strategy": "tensor", "processes": 8}  # 25 heads: it cannot run any more
    record.write("preempted")
    assert choose(given, 8)[0] == "zero2"


def test_a_dry_run_foretells_memory_messages_and_the_bubble() -> None:
    lines = plan_training(settings(80, strategy="pipeline", nproc=4))
    spread, memory, sends, bubble = (
        next(line for line in lines if line.startswith(word)) for word in ("spread", "memory", "sends", "bubble")
    )
    assert spread == "spread pipeline (pipeline 4) on 4 processes, because train.strategy says so"
    assert memory.endswith("fits the device's 80 GiB")
    assert "p2p" in sends
    assert bubble == "bubble 4.7 % of the computing time, with 4 stages and 64 micro-batches"
    lines = plan_training(settings(4, strategy="model", nproc=4))
    assert any(line.endswith("DOES NOT FIT the device's 4 GiB") for line in lines)
    assert any("bubble 300.0 % of the computing time, with 4 stages, one at work at a time" in line for line in lines)


def test_the_world_is_that_of_all_machines() -> None:
    lines = plan_training(settings(strategy="fsdp", nproc=8, nodes=4))
    assert any("fsdp (shard 32) on 32 processes" in line for line in lines)
    assert any("accumulation 2 x 32 data ranks" in line for line in lines)
