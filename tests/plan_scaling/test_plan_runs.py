"""Runs as folders, isoFLOP profiles, and one's own law beside the published ones."""

import math

import pytest
from pydantic import ValidationError

from llmforge.config.plan_scaling import OwnLawSection
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.plan_scaling.isoflop import isoflop_profiles
from llmforge.plan_scaling.laws import REPLICATION, frontier
from llmforge.plan_scaling.plan import make_plan
from llmforge.plan_scaling.runs_table import Run, read_runs


def make_folders(folder, trained_run, count=9, **last):
    for place in range(1, count + 1):
        given = {"params": place * 10**6, "tokens": place * 10**8, "val_loss": 5 - place / 10, "epochs": place / 2}
        trained_run(folder / f"run{place}", **(given | last if place == count else given))
    return folder


def test_finished_runs_of_a_folder_are_read_and_others_are_not(tmp_path, trained_run):
    make_folders(tmp_path, trained_run)
    trained_run(tmp_path / "running", state="running")
    (tmp_path / "notes").mkdir()
    runs = read_runs(tmp_path)
    assert len(runs) == 9
    assert runs[0] == Run(10**6, 10**8, 4.9)
    assert runs[-1].epochs == 4.5


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"store": "b"}, "run1 and run9 read different tokens, so that their losses do not compare"),
        ({"val_loss": None}, "run9 has no validation loss"),
        ({"params": 10**6, "tokens": 10**8, "val_loss": 4.9, "epochs": 1.0}, "run9: the same run as run1"),
    ],
)
def test_runs_that_cannot_be_fitted_together_are_named(tmp_path, trained_run, last, message):
    with pytest.raises(InputError, match=message):
        read_runs(make_folders(tmp_path, trained_run, **last))


def test_a_folder_without_trained_runs_or_with_few_is_refused(tmp_path, trained_run):
    with pytest.raises(InputError, match="no run in it has been trained"):
        read_runs(tmp_path)
    with pytest.raises(InputError, match="3 runs; a law of 5 parameters needs at least 8"):
        read_runs(make_folders(tmp_path, trained_run, count=3))


def profile_of(law, flops, shifts):
    best = frontier(law, "").params(flops)
    sizes = [best * math.exp(shift) for shift in shifts]
    return [Run(size, flops / (6 * size), law.loss(size, flops / (6 * size))) for size in sizes]


def test_profiles_centred_on_the_optimum_find_it():
    runs = [run for flops in (1e19, 1e20, 1e21) for run in profile_of(REPLICATION, flops, (-0.6, -0.3, 0, 0.3, 0.6))]
    found = isoflop_profiles(runs)
    assert [one.num_runs for one in found.profiles] == [5, 5, 5]
    assert found.profiles[1].flops == pytest.approx(1e20)
    assert found.profiles[1].params == pytest.approx(frontier(REPLICATION, "").params(1e20), rel=0.02)
    assert found.exponent == pytest.approx(REPLICATION.exponent, abs=0.002)
    assert found.tokens_per_param(1e20) == pytest.approx(22.9, rel=0.04)


def test_a_minimum_at_the_edge_of_the_sizes_is_none():
    found = isoflop_profiles(profile_of(REPLICATION, 1e20, (0.5, 0.8, 1.1, 1.4)))
    assert found.profiles[0].params is None
    assert found.exponent is None
    assert found.tokens_per_param(1e20) is None


def test_three_sizes_are_no_profile():
    assert isoflop_profiles(profile_of(REPLICATION, 1e20, (-0.5, 0, 0.5))) is None


def test_ones_own_law_stands_beside_the_others():
    own = {"E": 1.5, "A": 300.0, "B": 900.0, "alpha": 0.3, "beta": 0.3}
    settings = Settings.model_validate({"plan_scaling": {"budget_flops": 1e20, "own_law": own}})
    answer = make_plan(settings, None, None, 8192).laws[-1]
    assert answer.name == "own fit"
    assert 6 * answer.params * answer.tokens == pytest.approx(1e20)
    assert answer.predicted_loss == pytest.approx(1.5 + 300 * answer.params**-0.3 + 900 * answer.tokens**-0.3)


def test_a_law_without_an_exponent_is_refused():
    with pytest.raises(ValidationError, match="alpha"):
        OwnLawSection(E=1.5, A=300.0, B=900.0, alpha=0.0, beta=0.3)
