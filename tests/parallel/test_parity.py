import math
from dataclasses import replace

import pytest

from llmforge.arch.presets import PRESETS
from llmforge.parallel.parity import STRATEGIES, ParityRow, run_parity, shrink

EXACT = ParityRow("ddp", 2, loss=0.0, gradients=0.0, grad_norm=0.0, sgd=0.0, adamw=1.0, state_bytes=None, seconds=1.0)


def test_a_row_misses_what_is_further_off_than_allowed_and_what_is_no_number():
    assert EXACT.misses == []  # AdamW's weights are shown, not judged
    assert replace(EXACT, gradients=2e-5).misses == ["gradients"]
    assert replace(EXACT, loss=math.nan, sgd=1e-4).misses == ["loss", "sgd"]


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


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(1800)
def test_every_strategy_agrees_with_one_process():
    rows = run_parity(PRESETS["gpt2-nano"], tuple(STRATEGIES))
    assert {row.strategy for row in rows} >= {"single", "ddp", "fsdp", "model", "pipeline", "tensor", "2d", "3d"}
    assert {f"{row.strategy} on {row.processes}": row.misses for row in rows if row.misses} == {}
    held = {(row.strategy, row.processes): row.state_bytes for row in rows}
    assert held["fsdp", 2] <= 0.6 * held["ddp", 2]
