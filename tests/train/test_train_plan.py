"""What is known before torch is loaded: batch, horizon, and what --dry-run says."""

import sys
from pathlib import Path

import pytest
from tiny_run import BATCH_TOKENS, STEPS, make_settings

from llmforge.arch.params import count_parameters
from llmforge.config.train import TrainSection
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import write_json
from llmforge.train import plan
from llmforge.train.forecast import plan_training
from llmforge.train.plan import batch_shape, plan_horizon, resolve_model


def test_accumulation_is_derived() -> None:
    train = TrainSection(global_batch_tokens=16384, micro_batch_sequences=8)
    assert batch_shape(train, 256).accumulation == 8
    assert batch_shape(train, 256, data_rank=1, data_world=4).accumulation == 2


@pytest.mark.parametrize(
    ("tokens", "micro", "world", "hint"),
    [
        (1000, 8, 1, "set train.global_batch_tokens to 512 or 1,024"),
        (384, 4, 1, "set train.global_batch_tokens to 256 or 512, or train.micro_batch_sequences to 3"),
        (512, 8, 2, "set train.global_batch_tokens to 1,024 or 2,048, or train.micro_batch_sequences to 4"),
        (16, 1, 1, "set train.global_batch_tokens to 64 or 128"),
    ],
)
def test_a_batch_that_does_not_come_out_even_names_the_nearest(tokens: int, micro: int, world: int, hint: str) -> None:
    train = TrainSection(global_batch_tokens=tokens, micro_batch_sequences=micro)
    with pytest.raises(SettingsError, match="is no multiple of") as error:
        batch_shape(train, 64, data_world=world)
    assert error.value.hint == hint


def test_the_last_step_is_whole(folder: Path) -> None:
    settings = make_settings(folder, tokens=STEPS * BATCH_TOKENS + 1)
    assert plan_horizon(settings, resolve_model(settings)).num_steps == STEPS + 1


def write_plan(folder: Path, monkeypatch: pytest.MonkeyPatch, params: int) -> None:
    """Stand in for a finished plan-scaling artifact."""

    class Artifact:
        def __init__(self) -> None:
            self.folder = folder / "tiny/plan-scaling"

    write_json(folder / "tiny/plan-scaling/plan.json", {"recommended": {"tokens": 5000, "params": params}})
    monkeypatch.setattr(plan, "open_artifact", lambda *_: Artifact())


def test_auto_follows_the_plan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(folder, tokens="auto")
    arch = resolve_model(settings)
    write_plan(folder, monkeypatch, count_parameters(arch).total)
    horizon = plan_horizon(settings, arch)
    assert (horizon.tokens, horizon.num_steps) == (5000, 40)
    assert "the plan recommends them for 36,224 parameters" in horizon.reason


def test_a_plan_for_another_model_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(folder, tokens="auto")
    write_plan(folder, monkeypatch, 10**6)
    with pytest.raises(InputError, match="the plan is for a model of 1,000,000 parameters, and the model section"):
        plan_horizon(settings, resolve_model(settings))


def test_a_dry_run_works_before_anything_ran(tmp_path: Path) -> None:
    lines = plan_training(make_settings(tmp_path, tokens="auto"))
    assert any("36,224 parameters" in line for line in lines)
    assert any("128 tokens = 2 sequences x 16 x accumulation 4 x 1 data ranks" in line for line in lines)
    assert "plan-scaling' has not finished" in lines[-1]
    assert "in 12 steps" in plan_training(make_settings(tmp_path))[-1]
    assert not list(tmp_path.iterdir())


def test_planning_and_up_to_date_load_no_torch(
    undisturbed: object, tokenized: Path, llmforge: object, tmp_path: Path
) -> None:
    import subprocess

    code = (
        "import sys, llmforge.train.stage, llmforge.train.plan, llmforge.launch.torchrun; print('torch' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert found.stdout.strip() == "False"
