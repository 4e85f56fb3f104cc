"""Sweeps: the grid, a point's place, what stops a sweep and what does not, and one from its start to a second call."""

import json
import shutil
from pathlib import Path

import pytest
from corpus import settings_text

from llmforge.core.errors import InputError, Preempted, SettingsError
from llmforge.launch import sweep
from llmforge.launch.sweep import parse_grid, plan_points, run_sweep

GRID = ("model.dim=32,64", "train.tokens=2560,5120")


@pytest.fixture(scope="module")
def tokenized(corpus: Path, tmp_path_factory, llmforge) -> Path:
    """A folder with a config, and its run as far as its tokens."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "llmforge.yaml").write_text(settings_text(corpus, folder / "runs"))
    result = llmforge("run", "--to", "tokenize", "--quiet", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def base(tokenized: Path, tmp_path: Path) -> Path:
    """A copy of that run, to sweep in."""
    shutil.copytree(tokenized, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "llmforge.yaml").read_text().replace(str(tokenized), str(tmp_path))
    (tmp_path / "llmforge.yaml").write_text(text)
    return tmp_path / "runs" / "small"


def points_of(base: Path, *grid: str):
    return plan_points(base.parent.parent / "llmforge.yaml", (), grid or GRID)


def test_a_grid_is_values_by_setting() -> None:
    assert parse_grid(["model.layers=2, 4", "train.optimizer.lr=1e-3"]) == {
        "model.layers": ["2", "4"],
        "train.optimizer.lr": ["1e-3"],
    }


@pytest.mark.parametrize("texts", [["model.layers"], ["=2"], ["a.b=1,"], ["a.b=1,1"], ["a.b=1", "a.b=2"]])
def test_a_grid_that_is_none_is_refused(texts) -> None:
    with pytest.raises(SettingsError, match="expected a setting that no other --grid names"):
        parse_grid(texts)


def test_every_combination_is_a_run_of_its_own_inside_the_run(base: Path) -> None:
    points = points_of(base)
    assert [point.name for point in points][:2] == [
        "model.dim-32_train.tokens-2560",
        "model.dim-32_train.tokens-5120",
    ]
    assert {point.settings.run_folder.parent for point in points} == {base / "sweep"}
    assert [(point.settings.model.dim, point.settings.train.tokens) for point in points] == [
        (32, 2560),
        (32, 5120),
        (64, 2560),
        (64, 5120),
    ]


def test_a_bad_value_is_refused_before_anything_is_trained(base: Path) -> None:
    with pytest.raises(SettingsError, match=r"model\.dim"):
        points_of(base, "model.dim=32,wide")
    assert not (base / "sweep").exists()


def test_a_run_without_tokens_is_no_base(base: Path) -> None:
    shutil.rmtree(base / "tokenize")
    with pytest.raises(InputError, match="the stage 'tokenize' has not finished"):
        points_of(base)


@pytest.mark.parametrize(("exit_code", "error"), [(75, Preempted), (-15, Preempted), (4, InputError)])
def test_a_stop_or_a_failure_ends_the_sweep(base: Path, monkeypatch, exit_code: int, error) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(sweep, "_call", lambda command: called.append(command) or exit_code)
    with pytest.raises(error, match=r"model\.dim-32"):
        run_sweep(points_of(base), base, force=False, tell=lambda row: None)
    assert len(called) == 1


def test_open_tokens_get_a_plan_for_the_point(base: Path, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "_call", lambda command: 75)
    points = points_of(base, "train.tokens=auto")
    with pytest.raises(Preempted):
        run_sweep(points, base, force=False, tell=lambda row: None)
    folder = points[0].settings.run_folder
    assert (folder / "plan-scaling" / "plan.json").exists()
    assert (folder / "tokenize").resolve() == (base / "tokenize").resolve()


@pytest.mark.slow
def test_a_sweep_trains_every_point_once_and_feeds_the_fit(base: Path, llmforge) -> None:
    words = ("sweep", "--grid", "train.tokens=2560,5120", "--json", "--plots", "plots")
    first = llmforge(*words, cwd=base.parent.parent, timeout=580)
    assert first.returncode == 0, first.stderr
    runs = json.loads(first.stdout)["runs"]
    assert [run["tokens"] for run in runs] == [2560, 5120]
    assert all(run["state"] == "finished" and run["val_loss"] > 3 for run in runs)
    assert (base.parent.parent / "plots" / "sweep.png").stat().st_size > 10_000
    again = llmforge(*words, cwd=base.parent.parent, timeout=120)
    assert json.loads(again.stdout)["runs"] == runs
    few = llmforge("plan-scaling", "--fit", base / "sweep", cwd=base)
    assert "2 runs; a law of 5 parameters needs at least 8" in few.stderr
