import torch

from llmforge.arch.presets import PRESETS
from llmforge.model.init import initial_value


def test_a_value_depends_on_name_and_seed_alone():
    shape, arch = torch.Size([64, 64]), PRESETS["gpt2-nano"]
    torch.manual_seed(1)
    first = initial_value("blocks.0.attention.q.weight", shape, arch, seed=5)
    torch.manual_seed(2)
    assert torch.equal(first, initial_value("blocks.0.attention.q.weight", shape, arch, seed=5))
    assert not torch.equal(first, initial_value("blocks.1.attention.q.weight", shape, arch, seed=5))
    assert not torch.equal(first, initial_value("blocks.0.attention.q.weight", shape, arch, seed=6))


def test_what_writes_into_the_residual_stream_starts_smaller():
    shape, arch = torch.Size([512, 512]), PRESETS["gpt2"]  # 12 layers
    std = {
        name: float(initial_value(f"blocks.3.{name}.weight", shape, arch, seed=1).std())
        for name in ("attention.q", "ffn.up", "attention.out", "ffn.down")
    }
    assert abs(std["attention.q"] - 0.02) < 2e-4
    assert abs(std["ffn.up"] - 0.02) < 2e-4
    assert abs(std["attention.out"] - 0.02 / 24**0.5) < 1e-4
    assert abs(std["ffn.down"] - 0.02 / 24**0.5) < 1e-4


def test_biases_start_at_zero_and_scales_of_norms_at_one():
    arch = PRESETS["gpt2"]
    assert torch.equal(initial_value("blocks.0.ffn.up.bias", torch.Size([8]), arch, seed=1), torch.zeros(8))
    assert torch.equal(initial_value("final_norm.weight", torch.Size([8]), arch, seed=1), torch.ones(8))
