import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from llmforge.arch.presets import PRESETS
from llmforge.parallel import parity
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.parity import CASES, NUM_STEPS, ParityRow, compare, shrink

EXACT = ParityRow("ddp", 2, loss=0.0, gradients=0.0, grad_norm=0.0, sgd=0.0, adamw=1.0, state_bytes=1, seconds=1.0)


def test_a_row_misses_what_is_further_off_than_allowed_and_what_is_no_number():
    assert EXACT.misses == []  # AdamW's weights are shown, not judged
    assert replace(EXACT, gradients=2e-5).misses == ["gradients"]
    assert replace(EXACT, loss=math.nan, sgd=1e-2).misses == ["loss", "sgd"]


@pytest.mark.parametrize(
    ("preset", "kv_heads"), [("gpt2-xl", 8), ("llama2-70b", 2), ("palm-540b", 1), ("bloom-176b", 8), ("gpt3-175b", 8)]
)
def test_the_small_model_is_of_the_same_make(preset, kv_heads):
    arch = PRESETS[preset]
    small = shrink(arch)
    assert small.kv_heads == kv_heads
    kept = ("family", "positions", "norm", "activation", "bias", "parallel_block", "embedding_norm", "tied")
    assert [getattr(small, name) for name in kept] == [getattr(arch, name) for name in kept]
    assert (small.band_tokens is None) == (arch.band_tokens is None)
    assert small.heads % 8 == small.ffn_dim % 8 == small.vocab_size % 8 == 0


FAMILIES = ["gpt2", "llama2", "gpt3", "palm", "bloom"]


def measure_families(world, num_steps):
    return {name: parity.measure_all(world, shrink(PRESETS[f"{name}-nano"]), num_steps) for name in FAMILIES}


@pytest.fixture(scope="module")
def alone():
    """What one process measured, by family; four steps, as a step of eight processes on two cores takes seconds."""
    return run_in_processes(measure_families, 1, 4)[0]


@pytest.fixture(scope="module", params=[2, 4, 8])
def rows(request, alone):
    """The rows of a number of processes by family; they are started once."""
    ranks = run_in_processes(measure_families, request.param, 4, timeout_s=1500)
    return {name: compare([rank[name] for rank in ranks], alone[name]) for name in FAMILIES}


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(1800)
def test_every_strategy_agrees_with_one_process(rows):
    for family in rows.values():
        assert [row.strategy for row in family] == list(CASES[family[0].processes])
    assert {(name, row.strategy): row.misses for name, family in rows.items() for row in family if row.misses} == {}


@pytest.mark.slow
@pytest.mark.dist
def test_the_order_of_micro_batches_moves_one_process_as_little(alone):
    for name in FAMILIES:
        assert [row.misses for row in compare([alone[name]], alone[name])] == [[], []], name


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize("rows", [2], indirect=True)
def test_the_table_tells_what_a_rank_holds(rows, alone):
    for name, family in rows.items():
        held = {row.strategy: row.state_bytes for row in family}
        whole = alone[name]["single"].state_bytes
        assert held["ddp"] == pytest.approx(whole, rel=0.01)
        assert held["fsdp"] <= 0.6 * whole
        assert held["zero2"] <= held["zero1"] < whole


def train_in_fp64(world, names):
    """Weights after 20 steps of SGD where every fp32 of the engines is an fp64."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    arch = shrink(PRESETS["llama2-nano"])
    trained = {}
    for name in names:
        strategy = parity._prepared(world, {"strategy": name}, arch, parity._sgd)
        trained[name] = parity._train(strategy, 0.3, NUM_STEPS, 1, world)[2]
    return trained


@pytest.mark.slow
@pytest.mark.dist
def test_in_fp64_the_weights_agree_to_rounding():
    """What fp32 leaves between strategies after 20 steps is rounding that training amplified, and nothing else."""
    expected = run_in_processes(train_in_fp64, 1, ["single"], timeout_s=120)[0]["single"]
    for weights in run_in_processes(train_in_fp64, 2, ["ddp", "fsdp", "tensor"], timeout_s=280)[0].values():
        for name, weight in expected.items():
            assert weight.dtype == np.float64
            assert np.abs(weights[name] - weight).max() <= 1e-13, name
