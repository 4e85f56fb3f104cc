"""`recommended.yaml`: settings that train as they are, on the devices that the plan was made for."""

import json
from pathlib import Path

import pytest
from corpus import make_corpus, settings_text

from llmforge.arch.presets import resolve_architecture
from llmforge.config.load import load_settings
from llmforge.config.schema import Settings
from llmforge.plan_scaling.plan import make_plan
from llmforge.plan_scaling.recommended import to_yaml
from llmforge.train.placement import choose_layout, find_problems, memory_of, planned_world

VOCAB = 8192


def recommended(folder: Path, section, model=None):
    """The plan, and its recommended.yaml as settings."""
    asked = Settings.model_validate({"plan_scaling": section, "model": model or {}})
    answer = make_plan(asked, None, None, VOCAB)
    path = folder / "recommended.yaml"
    path.write_text(to_yaml(answer, asked))
    return answer, load_settings(path).settings


@pytest.mark.parametrize("num_devices", [1, 3, 8, 48, 64])
@pytest.mark.parametrize("params", [10**8, 3 * 10**9, 2 * 10**10])
def test_the_strategy_of_the_plan_runs_on_its_devices_with_the_memory_foretold(tmp_path, params, num_devices):
    section = {"params": params, "device": "h100-80gb", "num_devices": num_devices}
    answer, settings = recommended(tmp_path, section)
    strategy = answer.recommended.strategy
    if strategy is None:
        assert settings.train.strategy == "auto"
        return
    assert settings.train.strategy == strategy.partition(",")[0]
    world = planned_world(settings.train)
    assert world == num_devices
    arch = resolve_architecture(settings.model, VOCAB)
    assert find_problems(settings, arch, settings.train.strategy, world) == []
    _, layout, _ = choose_layout(settings, arch, world)
    foretold = answer.memory[strategy]["total"]
    assert memory_of(settings, arch, layout).total == foretold <= settings.plan_scaling.device_memory_bytes


@pytest.mark.parametrize(
    ("params", "num_devices", "strategy"), [(7 * 10**9, 4, "zero2, offload"), (5 * 10**9, 4, "fsdp, recompute")]
)
def test_variants_of_a_strategy_become_settings(tmp_path, params, num_devices, strategy):
    answer, settings = recommended(tmp_path, {"params": params, "device": "a100-40gb", "num_devices": num_devices})
    assert answer.recommended.strategy == strategy
    assert (settings.train.strategy, settings.train.nproc) == (strategy.partition(",")[0], num_devices)
    assert settings.train.zero.offload_optimizer == strategy.endswith("offload")
    assert (settings.train.parallel.activation_checkpointing == "full") == strategy.endswith("recompute")
    assert settings.plan_scaling.device == "a100-40gb"


def test_many_devices_stand_in_several_machines(tmp_path):
    _, settings = recommended(tmp_path, {"params": 10**9, "device": "h100-80gb", "num_devices": 64})
    assert (settings.train.nproc, settings.train.nodes) == (8, 8)


def test_without_a_device_training_looks_at_its_machine(tmp_path):
    _, settings = recommended(tmp_path, {"params": 10**9})
    assert (settings.train.strategy, settings.train.nproc) == ("auto", None)
    assert settings.plan_scaling == Settings().plan_scaling


def test_a_peak_that_the_device_does_not_have_is_kept(tmp_path):
    section = {"params": 10**8, "device": "h200", "device_flops_per_s": 5e14, "utilization": 0.3}
    _, settings = recommended(tmp_path, section)
    assert settings.plan_scaling.device_flops_per_s == 5e14
    assert settings.plan_scaling.utilization == 0.3
    assert "device_memory_bytes" not in (tmp_path / "recommended.yaml").read_text()


@pytest.mark.slow
def test_the_recommended_config_of_a_corpus_trains_as_it_is(llmforge, tmp_path):
    """A fifth of an epoch, so that it takes seconds; model, batch, rate and tokens are all the plan's."""
    text = settings_text(make_corpus(tmp_path / "corpus"), Path("runs")).partition("model:")[0]
    (tmp_path / "llmforge.yaml").write_text(text)
    for command in ("curate", "dedup", "tokenize"):
        made = llmforge(command, "--quiet", cwd=tmp_path)
        assert made.returncode == 0, made.stderr
    made = llmforge("plan-scaling", "--set", "plan_scaling.max_epochs=0.2", "--quiet", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    planned = json.loads((tmp_path / "runs/small/plan-scaling/plan.json").read_text())["recommended"]
    trained = llmforge("train", "-c", "runs/small/plan-scaling/recommended.yaml", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    manifest = json.loads((tmp_path / "runs/small/train/manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert manifest["results"]["params"] == planned["params"]
    assert manifest["results"]["tokens"] == planned["tokens"]
    assert manifest["settings"]["global_batch_tokens"] == planned["global_batch_tokens"]
