"""Attention out of matrix products, as bf16 takes it on CPUs, against the library's in fp32."""

import unittest.mock

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F

from llmforge.model import attention_scores
from llmforge.model.attention_scores import attend


def mix_and_gradients(inputs: list[Tensor], bias: Tensor | None) -> list[Tensor]:
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    mixed = attend(*inputs, bias, 0.0)
    mixed.float().square().sum().backward()
    return [mixed.detach().float(), *(tensor.grad.float() for tensor in inputs)]


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("kv_heads", [6, 2, 1])
def test_bf16_follows_fp32_forwards_and_backwards(biased: bool, kv_heads: int) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(2, heads, 17, 8) for heads in (6, kv_heads, kv_heads)]
    bias = torch.randn(6, 17, 17).masked_fill_(torch.ones(17, 17).triu(1).bool(), -torch.inf) if biased else None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse = mix_and_gradients([tensor.bfloat16() for tensor in inputs], bias)
    for got, exact in zip(coarse, mix_and_gradients(inputs, bias), strict=True):
        assert (got - exact).norm() < 0.02 * exact.norm()  # bf16 has 3 digits


def test_bf16_never_meets_the_slow_kernel_in_training_where_heads_share_keys() -> None:
    q, k, v = (torch.randn(1, heads, 9, 4, dtype=torch.bfloat16) for heads in (4, 2, 2))
    with unittest.mock.patch.object(F, "scaled_dot_product_attention", side_effect=AssertionError):
        assert attend(q, k, v, None, 0.0).shape == q.shape


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


@pytest.mark.parametrize(
    ("device", "dtype", "biased", "kv_heads", "shares"),
    [
        ("cuda", torch.bfloat16, False, 2, True),
        ("cuda", torch.bfloat16, True, 2, False),
        ("cuda", torch.float32, False, 2, False),
        ("cuda", torch.float32, True, 8, True),
        ("cpu", torch.float32, True, 2, True),
    ],
)
def test_gpu_kernels_that_cannot_share_heads_are_given_all(
    monkeypatch: pytest.MonkeyPatch, device: str, dtype: torch.dtype, biased: bool, kv_heads: int, shares: bool
) -> None:
    seen: list[tuple[int, bool]] = []

    def kernel(q: Tensor, k: Tensor, v: Tensor, *, enable_gqa: bool, **_: object) -> Tensor:
        seen.append((k.shape[1], enable_gqa))
        return q

    monkeypatch.setattr(F, "scaled_dot_product_attention", kernel)
    with FakeTensorMode():
        q = torch.empty(1, 8, 6, 4, device=device, dtype=dtype)
        k = torch.empty(1, kv_heads, 6, 4, device=device, dtype=dtype)
        attend(q, k, k, torch.empty(6, 6, device=device) if biased else None, 0.0)
    assert seen == [(kv_heads, kv_heads < 8) if shares else (8, False)]


def test_shared_heads_given_once_or_each_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    q, (k, v) = torch.randn(2, 8, 9, 4), torch.randn(2, 2, 2, 9, 4)
    shared = attend(q, k, v, None, 0.0)
    monkeypatch.setattr(attention_scores, "_kernel_shares_heads", lambda *_: False)
    torch.testing.assert_close(attend(q, k, v, None, 0.0), shared, rtol=1e-5, atol=1e-6)
