"""Fitting a law: known laws are found again, published data fit as well as published, bad tables are named."""

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from llmforge.core.errors import InputError
from llmforge.plan_scaling.describe_fit import describe_fit
from llmforge.plan_scaling.fit import fit_law, starting_grid, to_points
from llmforge.plan_scaling.fit_repeated import fit_half_lives
from llmforge.plan_scaling.laws import REPLICATION, LossLaw
from llmforge.plan_scaling.repeated import repeated_loss
from llmforge.plan_scaling.runs_table import Run, fresh_runs, read_runs
from llmforge.plan_scaling.solver import huber, objective, polish, residuals_of, solve

TRUE = np.array([math.log(482.01), math.log(2085.43), math.log(1.8172), 0.3478, 0.3658])


def make_runs(count, noise=0.0, law=REPLICATION, seed=0):
    random = np.random.default_rng(seed)
    params = np.exp(random.uniform(math.log(5e7), math.log(1.6e10), count))
    tokens = np.exp(random.uniform(math.log(1.4e18), math.log(1.3e22), count)) / (6 * params)
    errors = np.exp(random.laplace(0, noise, count)) if noise else np.ones(count)
    return [Run(float(n), float(d), float(law.loss(n, d) * e)) for n, d, e in zip(params, tokens, errors, strict=True)]


def test_the_law_behind_exact_losses_is_found_again():
    fit = fit_law(make_runs(40), seed=1, num_resamples=20)
    assert fit.objective < 1e-12
    for name in ("E", "A", "B", "alpha", "beta"):
        assert fit.params[name] == pytest.approx(getattr(REPLICATION, name), rel=1e-3)


def test_intervals_hold_the_law_behind_noisy_losses():
    fit = fit_law(make_runs(120, noise=0.005), seed=1, num_resamples=200)
    assert fit.objective <= objective(TRUE[None], to_points(make_runs(120, noise=0.005)), fit.delta)[0]
    low, high = fit.intervals["exponent"]
    assert low - 0.02 < REPLICATION.exponent < high + 0.02
    assert low < fit.exponent < high
    assert fit.starts_at_best > 1
    assert fit.held_out.mean_error < 0.02
    json.dumps(fit.to_dict())
    rows = {row.name: row for row in describe_fit(fit)}
    assert rows["E"].value == f"{fit.params['E']:.4g}"
    assert "10th to 90th percentile of 200 resamples" in rows["tokens per parameter"].reason
    assert "without the 5 highest losses" in rows


def test_the_same_seed_gives_the_same_fit():
    runs = make_runs(30, noise=0.01)
    assert fit_law(runs, seed=3, num_resamples=50) == fit_law(runs, seed=3, num_resamples=50)


def test_there_are_4500_distinct_starts():
    grid = starting_grid()
    assert grid.shape == (4500, 5)
    assert len({tuple(row) for row in grid}) == 4500


def test_the_objective_is_summed_and_never_rises():
    points = to_points(make_runs(25, noise=0.01))
    starts = starting_grid()[::50]
    before = objective(starts, points, 1e-3)
    assert before[0] == pytest.approx(huber(residuals_of(starts, points)[0], 1e-3).sum())
    previous = before
    for steps in (1, 5, 20):
        _, values = solve(starts, points, 1e-3, iterations=steps)
        assert (values <= previous + 1e-12).all()
        previous = values


def test_the_polished_end_has_no_slope():
    points = to_points(make_runs(60, noise=0.01))
    theta, value = polish(TRUE, points, 1e-3)
    for place in range(5):
        for change in (1e-4, -1e-4):
            moved = theta.copy()
            moved[place] += change
            assert objective(moved[None], points, 1e-3)[0] >= value - 1e-12


def test_runs_of_one_size_cannot_identify_its_power():
    law = LossLaw("one size", E=1.8, A=400, B=2000, alpha=0.35, beta=0.36)
    runs = [Run(1e9, tokens, law.loss(1e9, tokens)) for tokens in np.geomspace(1e9, 1e11, 12).tolist()]
    fit = fit_law(runs, seed=1, num_resamples=50)
    assert any("the power of params is a guess" in warning for warning in fit.warnings)


def test_a_law_whose_size_does_not_help_has_no_optimum():
    """The sign of a power that the runs do not tell depends on the machine's arithmetic."""
    runs = [Run(n, d, 1.8 + 2000 * d**-0.36 + 0.01 * math.log(n)) for n in (1e8, 1e9, 1e10) for d in (1e9, 1e10, 1e11)]
    fit = fit_law(runs, seed=1, num_resamples=20)
    assert fit.params["alpha"] <= 0
    assert (fit.exponent, fit.tokens_per_param) == (None, None)
    assert [row.value for row in describe_fit(fit) if row.name == "tokens per parameter"] == ["undefined"]


def test_far_extrapolation_is_cautioned():
    fit = fit_law(make_runs(30), seed=1, num_resamples=20, budget_flops=1e27)
    assert any("decades beyond the largest run" in warning for warning in fit.warnings)


def write(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    return path


def test_flops_stand_in_for_tokens(tmp_path):
    rows = "\n".join(f"run{place},{place}e8,{6 * place * 2}e17,{4 - place / 10}" for place in range(1, 10))
    runs = read_runs(write(tmp_path, f"name,params,flops,loss\n{rows}\n"))
    assert len(runs) == 9
    assert runs[0] == Run(1e8, pytest.approx(2e9), 3.9)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column params, loss, tokens"),
        ("params,tokens\n1e8,1e9\n", "no column loss; found params, tokens"),
        ("params,loss\n1e8,3\n", r"no column tokens \(or flops\)"),
        ("params,tokens,loss\n1e8,1e9,nan\n", "line 2: loss is 'nan', which is no positive number"),
        ("params,tokens,loss\n1e8,1e9,3\n-5,1e9,3\n", "line 3: params is '-5'"),
        ("params,tokens,loss\n1e8,1e9\n", "line 2: loss is ''"),
        ("params,tokens,loss\n1e8,1e9,3,1\n", "line 2: more values than columns, from '1' on"),
        ("params,flops,loss\n1e8,many,3\n", "line 2: flops is 'many'"),
        ("params,tokens,loss\n1e8,1e9,3\n1e8,1e9,3\n", "line 3: the same run as line 2"),
        ("params,tokens,loss\n1e8,1e9,3\n1e8,2e9,3\n", "2 runs; a law of 5 parameters needs at least 8"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_runs(write(tmp_path, text))


def test_a_missing_table_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="not readable as CSV"):
        read_runs(tmp_path / "none.csv")


def shared(name):
    folder = os.environ.get("LLMFORGE_TEST_DATA")
    if not folder or not (Path(folder) / "scaling" / name).exists():
        pytest.skip(f"needs scaling/{name} of the test data: set LLMFORGE_TEST_DATA")
    with open(Path(folder) / "scaling" / name, newline="") as file:
        return list(csv.DictReader(file))


def test_c4_runs_on_fresh_data_fit_better_than_the_published_law():
    rows = shared("datablations/datablations_runs.csv")
    fresh = {
        (float(row["params"]), float(row["tokens"]), float(row["val_loss"]))
        for row in rows
        if float(row["unique_tokens"]) >= float(row["tokens"])
    }
    runs = [Run(*row) for row in sorted(fresh)]
    fit = fit_law(runs, seed=1, num_resamples=200)
    published = np.array([[6.255414, 7.3049974, 0.6254804, 0.3526596, 0.3526596]])
    assert fit.objective <= objective(published, to_points(runs), fit.delta)[0]
    for name, value in (("E", 1.8691), ("A", 520.82), ("B", 1487.72), ("alpha", 0.35266), ("beta", 0.35266)):
        low, high = fit.intervals[name]
        assert low <= value <= high, name
    assert any("weakly identified" in warning for warning in fit.warnings)


def test_the_olmo_ladder_predicts_its_targets():
    rows = shared("olmo_ladder/ladder_summary.csv")
    ladder = [Run(float(r["N"]), float(r["D"]), float(r["c4_loss"])) for r in rows if r["mode"] == "train"]
    law = fit_law(ladder, seed=1, num_resamples=20).law
    errors = [law.loss(float(r["N"]), float(r["D"])) / float(r["c4_loss"]) - 1 for r in rows if r["mode"] == "eval"]
    assert errors == [pytest.approx(-0.020, abs=0.002), pytest.approx(-0.038, abs=0.002)]


def test_half_lives_behind_exact_losses_are_found_again():
    random = np.random.default_rng(0)
    cases = [(float(n), float(u), float(u * e)) for n, u, e in zip(*_repeated_sizes(random), strict=True)]
    runs = [Run(n, d, repeated_loss(n, d, u), d / u) for n, u, d in cases]
    found = fit_half_lives(runs, seed=1, num_resamples=50)
    assert (found.tokens, found.params) == (pytest.approx(15.39, rel=0.01), pytest.approx(5.31, rel=0.01))
    assert found.objective < 1e-9 + found.published_objective


def _repeated_sizes(random):
    params = np.exp(random.uniform(math.log(1e8), math.log(1e10), 60))
    return params, np.exp(random.uniform(math.log(1e8), math.log(1e10), 60)), random.uniform(1, 40, 60)


def test_half_lives_of_the_published_runs_fit_better_than_the_published_pair_and_are_weakly_identified():
    rows = shared("datablations/datablations_fit182.csv")
    columns = ("params", "tokens", "val_loss", "unique_tokens")
    cases = [[float(row[name]) for name in columns] for row in rows]
    found = fit_half_lives([Run(n, d, loss, max(1.0, d / unique)) for n, d, loss, unique in cases], seed=1)
    assert found.published_objective == pytest.approx(0.015825935, rel=1e-6)
    assert found.objective <= found.published_objective
    for name, value in (("tokens", 15.387756), ("params", 5.309743)):
        low, high = found.intervals[name]
        assert low <= value <= high or any(f"half-life of {name} is weakly" in text for text in found.warnings)
    assert any("half-life of tokens is weakly identified" in text for text in found.warnings)


def test_a_table_says_which_tokens_are_repeated_and_the_law_is_fitted_on_the_others(tmp_path):
    fresh = "\n".join(f"{n}e8,{d}e9,,{5 - n / 10 - d / 100}" for n in (1, 2, 4) for d in (1, 2, 4))
    runs = read_runs(write(tmp_path, f"params,tokens,unique_tokens,loss\n{fresh}\n1e8,4e9,1e9,3.9\n"))
    assert runs[-1].epochs == 4
    assert len(fresh_runs(runs)) == 9
    with pytest.raises(InputError, match="1 of 2 runs read their data once"):
        fresh_runs([runs[0], runs[-1]])
