"""The stage: what it writes, and what makes it stale."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llmforge.config.load import load_settings
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.pipeline.build import BuildOptions, build_stage, plan_stage
from llmforge.plan_scaling.stage import PLAN_SCALING


def settings(tmp_path, **sections):
    sections.setdefault("plan_scaling", {"budget_flops": 1e18})
    return Settings.model_validate({"run": {"dir": str(tmp_path), "name": "plan"}, **sections})


def build(wanted, **options):
    return build_stage(PLAN_SCALING, wanted, wanted.run_folder, BuildOptions(**options))


def test_it_writes_a_plan_and_settings_that_load(tmp_path):
    built = build(settings(tmp_path))
    plan = json.loads((built.folder / "plan.json").read_text())
    recommended = plan["recommended"]
    assert built.manifest.results["recommended"] == recommended
    assert {"laws", "assumptions", "cautions", "memory", "parameters"} <= plan.keys()
    loaded = load_settings(built.folder / "recommended.yaml").settings
    assert loaded.train.tokens == recommended["tokens"]
    assert loaded.train.global_batch_tokens == recommended["global_batch_tokens"]
    assert loaded.model.layers == recommended["model"]["layers"]
    assert loaded.run.name == "plan"
    assert loaded.run.dir == "runs"  # an absolute folder is no part of an artifact


def test_a_relative_run_folder_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = build(settings(Path("elsewhere")))
    assert load_settings(built.folder / "recommended.yaml").settings.run.dir == "elsewhere"


def test_the_same_question_is_up_to_date_and_another_is_refused(tmp_path):
    build(settings(tmp_path))
    assert build(settings(tmp_path)).status == "up to date"
    with pytest.raises(InputError, match=r"plan_scaling.budget_flops: was 1e\+18, now 2e\+18"):
        build(settings(tmp_path, plan_scaling={"budget_flops": 2e18}))


def test_another_model_makes_the_plan_stale_and_another_micro_batch_does_not(tmp_path):
    model = {"preset": "gpt2-mini"}
    build(settings(tmp_path, model=model))
    assert build(settings(tmp_path, model=model, train={"micro_batch_sequences": 4})).status == "up to date"
    with pytest.raises(InputError, match=r"settings of model\.layers"):
        build(settings(tmp_path, model={**model, "layers": 8}))
    with pytest.raises(InputError, match=r"settings of train\.global_batch_tokens"):
        build(settings(tmp_path, model=model, train={"global_batch_tokens": 32768}))


def test_a_dry_run_shows_the_plan_and_writes_nothing(tmp_path):
    lines = plan_stage(PLAN_SCALING, settings(tmp_path), tmp_path / "plan")
    assert any(line.startswith("training tokens") for line in lines)
    assert not (tmp_path / "plan").exists()


def test_a_plan_imports_no_torch():
    code = (
        "import sys\n"
        "from llmforge.config.schema import Settings\n"
        "from llmforge.plan_scaling.plan import make_plan\n"
        "make_plan(Settings.model_validate({'plan_scaling': {'budget_flops': 1e20}}), None, None, 8192)\n"
        "print(sorted({'torch', 'numpy', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
