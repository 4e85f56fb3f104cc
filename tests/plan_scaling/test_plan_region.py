"""Repeated data, serving, and the width of the choice, against the papers' own examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.model import ModelSection
from llmforge.plan_scaling.laws import C4_REPEATED, DEFAULT, REPLICATION, LossLaw, frontier
from llmforge.plan_scaling.region import best_size, shapes_in, valley
from llmforge.plan_scaling.repeated import effective_params, effective_tokens, optimal_repetition, repeated_loss
from llmforge.plan_scaling.search import minimise
from llmforge.plan_scaling.serving import size_for_serving


@pytest.mark.parametrize(
    ("epochs", "worth"), [(1, 1.0), (2, 1.968), (4, 3.726), (8, 6.624), (16, 10.58), (40, 15.17), (1e9, 16.39)]
)
def test_repeated_tokens_are_worth_ever_less(epochs, worth):
    assert effective_tokens(epochs, 1.0) == pytest.approx(worth, abs=0.005)


def test_a_constrained_budget_is_spent_as_in_the_published_example():
    """The published code's example: 1e22 FLOPs and 25 billion unique tokens give 7.0B parameters and 9.5 epochs."""
    params, tokens = optimal_repetition(1e22, 25e9)
    assert params == pytest.approx(7.0e9, rel=0.01)
    assert tokens / 25e9 == pytest.approx(9.5, rel=0.01)
    grid = [repeated_loss(params * scale, tokens / scale, 25e9) for scale in (0.9, 0.99, 1.01, 1.1)]
    assert repeated_loss(params, tokens, 25e9) <= min(grid)


def test_fresh_data_bring_the_plain_law_back():
    params, tokens = optimal_repetition(1e20, 1e12)
    assert params == pytest.approx(frontier(C4_REPEATED, "").params(1e20), rel=1e-3)
    assert repeated_loss(params, tokens, 1e12) == pytest.approx(C4_REPEATED.loss(params, tokens), rel=1e-6)
    assert effective_params(100 * params, tokens) < 100 * params


@given(st.floats(1e6, 1e12), st.floats(0.1, 1000))
def test_repetition_never_teaches_more_than_fresh_tokens(unique, epochs):
    assert effective_tokens(unique * epochs, unique) <= unique * epochs * (1 + 1e-12)


@pytest.mark.parametrize(("served", "params", "ratio"), [(1e11, 11.3e9, 27), (1e12, 7.2e9, 76), (1e13, 4.3e9, 403)])
def test_serving_makes_the_model_smaller(served, params, ratio):
    flops = DEFAULT.flops_for_params(13e9)
    best = size_for_serving(REPLICATION.loss(13e9, DEFAULT.tokens(flops)), served)
    assert best.params == pytest.approx(params, rel=0.01)
    assert best.tokens / best.params == pytest.approx(ratio, rel=0.01)


def test_serving_saves_what_the_paper_says():
    """Sardana et al. 2024: a 7B of 13B quality saves 1.7e22 FLOPs, 17 %, over 2e12 served tokens."""
    law = LossLaw("rounded otherwise", E=1.69, A=406.4, B=410.7, alpha=0.336, beta=0.283)
    optimum = frontier(law, "")
    flops = optimum.flops_for_params(13e9)
    loss = law.loss(13e9, optimum.tokens(flops))
    large = flops + 2 * 13e9 * 2e12
    best = size_for_serving(loss, 2e12, law=law)
    assert large - best.flops == pytest.approx(1.7e22, rel=0.01)
    assert (large - best.flops) / large == pytest.approx(0.17, abs=0.005)
    assert best.params == pytest.approx(7e9, rel=0.01)


def test_a_loss_below_the_floor_is_refused():
    with pytest.raises(ValueError, match="no model reaches a loss"):
        size_for_serving(1.5, 1e12)


@pytest.mark.parametrize(
    ("flops", "tolerance", "low", "high"),
    [(1e19, 0.0025, 12.8, 46), (1e20, 0.005, 8.1, 65), (1e21, 0.01, 3.9, 121), (1e22, 0.005, 4.9, 86)],
)
def test_the_valley_is_flat(flops, tolerance, low, high):
    found = valley(flops, tolerance)
    assert found.tokens_per_param_low == pytest.approx(low, rel=0.02)
    assert found.tokens_per_param_high == pytest.approx(high, rel=0.02)
    assert best_size(flops) == pytest.approx(DEFAULT.params(flops), rel=1e-3)


def test_shapes_of_the_valley_lose_less_than_the_tolerance():
    found = valley(1e20)
    shapes = shapes_in(found, ModelSection(), 50_257, 1e20)
    assert len(shapes) > 50
    assert all(0 <= shape.excess_loss <= 0.005 for shape in shapes)
    assert all(shape.dim % shape.heads == 0 for shape in shapes)
    assert len({(shape.layers, shape.dim) for shape in shapes}) == len(shapes)


def test_the_deeper_of_two_valleys_is_found():
    def function(x):
        return min((x - 1) ** 2 + 0.1, (x - 4.02) ** 2)

    assert minimise(function, -5, 5) == pytest.approx(4.02, abs=1e-6)
