"""Plots are drawn from what plans, fits and metrics say, the same bytes each time; without matplotlib that is told."""

import json
import math

import pytest

from llmforge.cli.drawing import check_plots, check_trace
from llmforge.config.load import load_settings
from llmforge.core.errors import MachineError, SettingsError
from llmforge.plan_scaling.fit import fit_law
from llmforge.plan_scaling.isoflop import same_budgets
from llmforge.plan_scaling.laws import REPLICATION
from llmforge.plan_scaling.plan import make_plan
from llmforge.plan_scaling.runs_table import Run
from llmforge.report.figures import plot
from llmforge.report.fit_plots import plot_fit
from llmforge.report.plan_plots import plot_plan
from llmforge.report.sweep_plots import plot_sweep

PNG = b"\x89PNG\r\n\x1a\n"

pytest.importorskip("matplotlib")


def plan(*sets):
    settings = load_settings(None, [f"plan_scaling.{one}" for one in sets]).settings
    return make_plan(settings, None, None, 8192).to_dict()


def names(files):
    assert all(file.read_bytes().startswith(PNG) for file in files)
    return [file.name for file in files]


def test_a_plan_is_three_pictures_of_the_same_bytes_each_time(tmp_path):
    asked = plan("budget_gpu_hours=100", "device=a100-40gb", "num_devices=4")
    files = plot_plan(asked, tmp_path / "one")
    assert names(files) == ["memory.png", "isoflop.png", "loss-surface.png"]
    again = plot_plan(json.loads(json.dumps(asked)), tmp_path / "two")
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in again]


def test_a_plan_too_small_for_a_law_has_its_memory_alone(tmp_path):
    assert names(plot_plan(plan("params=1e6"), tmp_path)) == ["memory.png"]


def budgets():
    runs = []
    for flops in (1e18, 1e19):
        for shift in (0.3, 0.6, 1.0, 1.8, 3.0):
            params = math.sqrt(flops / 120) * shift
            loss = REPLICATION.loss(params, flops / (6 * params))
            runs.append(Run(params, flops / (6 * params), loss))
    return runs


def test_a_fit_is_drawn_with_its_runs_and_profiles(tmp_path):
    fit = fit_law(budgets(), seed=1, num_resamples=20)
    assert names(plot_fit(fit, budgets(), tmp_path)) == ["fit-errors.png", "fit-surface.png", "fit-isoflop.png"]


def test_budgets_hold_the_runs_of_about_one_compute():
    first, second = same_budgets(budgets())
    assert (len(first.runs), len(second.runs)) == (5, 5)
    assert first.flops == pytest.approx(1e18)


def test_a_sweeps_losses_come_from_its_metrics(tmp_path):
    for name in ("sgd", "adam"):
        folder = tmp_path / name / "train"
        folder.mkdir(parents=True)
        lines = [json.dumps({"tokens": 100 * step, "loss": 5 - step / 10}) for step in range(5)]
        (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    runs = {name: tmp_path / name for name in ("sgd", "adam", "diverged at once")}
    assert names(plot_sweep(runs, tmp_path)) == ["sweep.png"]


def test_nothing_is_written_when_drawing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), plot(tmp_path / "a.png", "", "", ""):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_matplotlib_that_is_missing_is_told_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr("llmforge.report.figures.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="plots need matplotlib") as caught:
        check_plots(tmp_path, {})
    assert 'pip install "llmforge[plots]"' in (caught.value.hint or "")


def test_an_option_that_draws_nothing_is_refused(tmp_path):
    check_plots(None, {"--check": True})
    with pytest.raises(SettingsError, match="--check draws nothing"):
        check_plots(tmp_path, {"--design": False, "--check": True})


def test_tracing_what_plans_no_run_is_refused():
    check_trace(False, {"--fit": True})
    with pytest.raises(SettingsError, match="--trace: --fit plans no run to trace"):
        check_trace(True, {"--fit": True})


def test_the_command_names_what_it_drew(llmforge, tmp_path):
    words = ("plan-scaling", "--dry-run", "--set", "plan_scaling.budget_flops=1e18", "--plots", str(tmp_path))
    result = llmforge(*words, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for name in ("memory.png", "isoflop.png", "loss-surface.png"):
        assert f"plot          {tmp_path / name}" in result.stderr
        assert (tmp_path / name).exists()
