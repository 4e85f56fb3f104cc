"""Small runs for a fit: affordable, legal, and telling more than as many runs of one size."""

import math

import numpy as np
import pytest

from llmforge.config.model import ModelSection
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError
from llmforge.plan_scaling.design import design_runs
from llmforge.plan_scaling.fit import fit_law
from llmforge.plan_scaling.laws import DEFAULT, REPLICATION
from llmforge.plan_scaling.runs_table import Run

TARGET = 1e20


def design(share=0.05, **given):
    return design_runs(ModelSection(), 8192, TARGET, share, REPLICATION, **given)


def test_runs_are_affordable_and_different():
    found = design()
    assert found.flops == pytest.approx(sum(run.flops for run in found.runs))
    assert found.flops <= 0.05 * TARGET
    assert max(run.flops for run in found.runs) <= 0.25 * 0.05 * TARGET
    assert len({(run.shape.params, run.tokens) for run in found.runs}) == len(found.runs) >= 8
    sizes = [run.shape.params for run in found.runs]
    assert max(sizes) > 10 * min(sizes)


def test_more_compute_narrows_the_interval_around_the_laws_answer():
    narrow, wide = design(0.2).tokens_per_param, design(0.002).tokens_per_param
    answer = DEFAULT.tokens(TARGET) / DEFAULT.params(TARGET)
    assert wide[0] < narrow[0] < answer < narrow[1] < wide[1]


def test_tokens_at_hand_limit_the_runs():
    assert max(run.tokens for run in design(max_tokens=10**8).runs) <= 10**8


def test_a_share_that_pays_for_too_few_runs_is_refused():
    with pytest.raises(SettingsError, match=r"--design 0.05: 5e\+13 FLOPs pay for \d small runs; a fit needs 8"):
        design_runs(ModelSection(), 8192, 1e15, 0.05, REPLICATION)


def test_settings_of_a_run_load_and_make_its_model():
    run = design().runs[0]
    values: dict = {}
    for name, value in run.settings.items():
        section, _, rest = name.partition(".")
        node = values.setdefault(section, {})
        if rest == "optimizer.lr":
            node["optimizer"] = {"lr": value}
        else:
            node[rest] = value
    settings = Settings.model_validate(values)
    assert settings.model.layers == run.shape.arch.layers
    assert settings.train.global_batch_tokens % (settings.train.micro_batch_sequences * settings.model.context) == 0


def test_a_fit_to_the_designed_runs_is_as_wide_as_foreseen():
    """Losses drawn around the law with the noise that the design reckons with, many times over."""
    found = design()
    random, ratios = np.random.default_rng(0), []
    for _ in range(5):
        runs = [
            Run(
                run.shape.params,
                run.tokens,
                REPLICATION.loss(run.shape.params, run.tokens) * math.exp(random.normal(0, 0.005)),
            )
            for run in found.runs
        ]
        ratios.append(fit_law(runs, seed=1, budget_flops=TARGET, num_resamples=20).tokens_per_param)
    low, high = found.tokens_per_param
    assert low / 3 < float(np.median(ratios)) < high * 3
