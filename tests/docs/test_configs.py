"""Every shipped config loads; every one that needs more than a laptop passes --dry-run and fits its device."""

from pathlib import Path

import pytest

from llmforge.arch.params import count_parameters
from llmforge.config.load import load_settings
from llmforge.train.forecast import plan_training
from llmforge.train.plan import resolve_model

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
# Parameters in millions, and processes.
LARGE = {
    "gpu-gpt2-124m": (124, 1),
    "8gpu-ddp-gpt2-1.5b": (1558, 8),
    "4gpu-pipeline": (1314, 4),
    "8gpu-fsdp-1b": (1100, 8),
    "8gpu-zero3-offload-7b": (6738, 8),
    "64gpu-3d-70b": (68977, 64),
}


def test_all_kinds_are_there() -> None:
    assert {path.stem for path in CONFIGS} >= {"demo", "laptop", "laptop-ddp", *LARGE}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_loads_and_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    assert load_settings(path, (), {}).settings.run.name
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")


@pytest.mark.parametrize("name", LARGE)
def test_a_large_config_passes_a_dry_run_and_fits(name: str, tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "configs" / f"{name}.yaml"
    settings = load_settings(path, (f"run.dir={tmp_path}",), {}).settings
    millions, processes = LARGE[name]
    assert round(count_parameters(resolve_model(settings)).total / 1e6) == pytest.approx(millions, rel=0.005)
    lines = plan_training(settings)
    assert any(f" on {processes} process" in line for line in lines)
    assert any("; fits the device's" in line for line in lines)
    assert not any("DOES NOT FIT" in line for line in lines)
    assert any(" steps, " in line for line in lines)


def test_the_laptop_with_two_processes_passes_a_dry_run(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "configs/laptop-ddp.yaml"
    lines = plan_training(load_settings(path, (f"run.dir={tmp_path}",), {}).settings)
    assert any("accumulation 4 x 2 data ranks" in line for line in lines)
