"""Plan against fact: what is compared, and what is not."""

import json

import pytest

from llmforge.arch.flops import flops_per_token
from llmforge.arch.memory import Layout, training_memory
from llmforge.arch.presets import preset
from llmforge.config.plan_scaling import OwnLawSection, PlanScalingSection
from llmforge.pipeline.manifest import read_manifest
from llmforge.plan_scaling.check import Trained, compare
from llmforge.plan_scaling.laws import REPLICATION

ARCH = preset("gpt2")
SIX_N = flops_per_token(ARCH).six_n


def check(
    section, tmp_path, trained_run, *, device="cuda", strategy="single", state="finished", processes=1, train=None
):
    execution = {"device": device, "strategy": strategy, "precision": "bf16", "processes": processes, "num_steps": 100}
    results = {"params": 124_439_808, "tokens": 10**10, "val_loss": 3.5}
    folder = trained_run(tmp_path / "run", state=state, execution=execution, **results)
    manifest = read_manifest(folder / "train")
    manifest.settings = {"micro_batch_sequences": 4, "global_batch_tokens": 65_536, **(train or {})}
    metrics = [
        {"tokens": 65_536 * step, "tokens_per_s": speed, "peak_memory_bytes": step * 10**8}
        for step, speed in ((1, 10.0), (40, 90_000.0), (60, 110_000.0))
    ]
    found = compare(section, Trained(ARCH, manifest, metrics, unique_tokens=10**11))
    json.dumps([one.to_dict() for one in found])
    return {one.name: one for one in found}


def test_speed_follows_from_peak_and_share(tmp_path, trained_run):
    section = PlanScalingSection(device="a100-40gb")
    found = check(section, tmp_path, trained_run, strategy="ddp", processes=2)
    assert found["speed"].predicted == pytest.approx(2 * 312e12 * 0.399 / SIX_N)
    assert found["speed"].measured == 100_000  # the first line pays for starting
    assert found["speed"].error == pytest.approx(found["speed"].predicted / 100_000 - 1)
    assert found["use of the peak"].measured == pytest.approx(100_000 * SIX_N / (2 * 312e12))


def test_without_a_device_the_measured_speed_says_what_to_plan_with(tmp_path, trained_run):
    found = check(PlanScalingSection(), tmp_path, trained_run)
    assert found["speed"].predicted is None
    assert f"plan_scaling.device_flops_per_s={100_000 * SIX_N:.3g}" in found["speed"].note
    assert found["speed"].error is None
    assert found["use of the peak"].measured is None


def test_memory_is_that_of_the_layout_that_ran(tmp_path, trained_run):
    memory = check(PlanScalingSection(), tmp_path, trained_run)["memory of a rank"]
    assert memory.predicted == training_memory(ARCH, 4, None, "bf16", gpu=True).total
    assert memory.measured == 60 * 10**8
    assert memory.error == pytest.approx(memory.predicted / memory.measured - 1)


def test_a_whole_process_is_not_compared_with_its_tensors(tmp_path, trained_run):
    memory = check(PlanScalingSection(), tmp_path, trained_run, device="cpu")["memory of a rank"]
    assert memory.error is None
    assert "interpreter and libraries" in memory.note


def test_a_layout_without_closed_form_says_so(tmp_path, trained_run):
    """Which degree of a 3d run took the other ranks, its settings do not say."""
    open_degrees = {"parallel": {"tensor": 4, "pipeline": None}}
    found = check(PlanScalingSection(), tmp_path, trained_run, strategy="3d", processes=8, train=open_degrees)
    assert found["memory of a rank"].predicted is None
    assert "no closed form" in found["memory of a rank"].note


@pytest.mark.parametrize(
    ("strategy", "train", "layout"),
    [
        ("model", {}, Layout(pipeline=4)),
        (
            "fsdp",
            {"parallel": {"activation_checkpointing": "full"}},
            Layout(shard=4, micro_batches=4, recompute="full"),
        ),
        ("fsdp", {"parallel": {"shard": 2, "replicate": 2}}, Layout(shard=2, replicate=2, micro_batches=4)),
        ("zero2", {"zero": {"offload_optimizer": True}}, Layout(shard=4, micro_batches=4, zero_stage=2, offload=True)),
        ("zero1", {}, Layout(shard=4, micro_batches=4, zero_stage=1)),
    ],
)
def test_memory_follows_what_the_training_was_told_beside_its_strategy(tmp_path, trained_run, strategy, train, layout):
    found = check(PlanScalingSection(), tmp_path, trained_run, strategy=strategy, processes=4, train=train)
    assert found["memory of a rank"].predicted == training_memory(ARCH, 4, layout, "bf16", gpu=True).total


def test_the_loss_is_the_laws_or_ones_own(tmp_path, trained_run):
    found = check(PlanScalingSection(), tmp_path, trained_run)["validation loss"]
    assert found.predicted == pytest.approx(REPLICATION.loss(124_439_808, 10**10))
    own = OwnLawSection(E=2.0, A=100.0, B=100.0, alpha=0.3, beta=0.3)
    law = check(PlanScalingSection(own_law=own), tmp_path / "own", trained_run)["validation loss"]
    assert law.predicted == pytest.approx(2 + 100 * 124_439_808**-0.3 + 100 * 1e10**-0.3)
    assert law.measured == 3.5


def test_a_running_training_has_time_to_go_and_no_loss_yet(tmp_path, trained_run):
    found = check(PlanScalingSection(), tmp_path, trained_run, state="running")
    assert found["validation loss"].measured is None
    assert found["time to go"].measured == pytest.approx(40 * 65_536 / 100_000)
