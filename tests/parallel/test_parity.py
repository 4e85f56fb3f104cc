import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from llmforge.arch.presets import PRESETS
from llmforge.parallel import parity
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.parity import CASES, ParityRow, run_parity, shrink

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


@pytest.fixture(scope="module", params=["gpt2", "llama2", "gpt3", "palm", "bloom"])
def rows(request):
    """All rows of a family: each world is started once."""
    return run_parity(PRESETS[f"{request.param}-nano"], tuple(CASES))


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(1800)
def test_every_strategy_agrees_with_one_process(rows):
    assert {row.strategy.split()[0] for row in rows} == {
        *("single,", "single", "ddp", "fsdp", "model", "pipeline", "tensor", "2d", "3d", "zero1", "zero2", "zero3")
    }
    assert {f"{row.strategy} on {row.processes}": row.misses for row in rows if row.misses} == {}


@pytest.mark.slow
@pytest.mark.dist
def test_the_table_tells_what_a_rank_holds(rows):
    held = {(row.strategy, row.processes): row.state_bytes for row in rows}
    whole = held["single", 1]
    assert held["ddp", 2] == pytest.approx(whole, rel=0.01)
    assert held["fsdp", 2] <= 0.6 * whole
    assert held["zero2", 2] <= held["zero1", 2] < whole


def train_in_fp64(world, names):
    """Weights after 20 steps of SGD where every fp32 of the engines is an fp64."""
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    arch = shrink(PRESETS["llama2-nano"])
    trained = {}
    for name in names:
        strategy = parity._prepared(world, {"strategy": name}, arch, parity._sgd)
        trained[name] = parity._train(strategy, 0.3, parity.NUM_STEPS, 1, world)[2]
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
