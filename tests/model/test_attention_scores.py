"""Attention out of matrix products, as bf16 takes it on CPUs, against the library's in fp32."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from llmforge.model.attention_scores import attend


def mix_and_gradients(inputs: list[Tensor], bias: Tensor | None) -> list[Tensor]:
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    mixed = attend(*inputs, bias, 0.0)
    mixed.float().square().sum().backward()
    return [mixed.detach().float(), *(tensor.grad.float() for tensor in inputs)]


@pytest.mark.parametrize("biased", [False, True])
def test_bf16_follows_fp32_forwards_and_backwards(biased: bool) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(2, 3, 17, 8) for _ in range(3)]
    bias = torch.randn(3, 17, 17).masked_fill_(torch.ones(17, 17).triu(1).bool(), -torch.inf) if biased else None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = mix_and_gradients([tensor.bfloat16() for tensor in inputs], bias)
    for got, exact in zip(coarse, mix_and_gradients(inputs, bias), strict=True):
        assert (got - exact).norm() < 0.02 * exact.norm()  # bf16 has 3 digits


def test_later_positions_do_not_reach_earlier_ones_in_bf16() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 9, 4, dtype=torch.bfloat16) for _ in range(3))
    before = attend(q, k, v, None, 0.0)
    k[:, :, 6:], v[:, :, 6:] = 7.0, -3.0
    after = attend(q, k, v, None, 0.0)
    assert torch.equal(before[:, :, :6], after[:, :, :6])
    assert not torch.equal(before[:, :, 6:], after[:, :, 6:])


def test_fp32_is_the_librarys() -> None:
    q, k, v = (torch.randn(1, 2, 9, 4) for _ in range(3))
    assert torch.equal(attend(q, k, v, None, 0.0), F.scaled_dot_product_attention(q, k, v, is_causal=True))
