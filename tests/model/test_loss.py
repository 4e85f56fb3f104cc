import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmforge.model.loss import IGNORE, token_loss_sum


def losses(rows, max_logits, seed=0):
    """Loss and gradients of hidden states and weights."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 8, generator=generator, requires_grad=True)
    weight = torch.randn(50, 8, generator=generator, requires_grad=True)
    target = torch.randint(50, (rows,), generator=generator)
    target[::3] = IGNORE
    loss = token_loss_sum(lambda chunk: chunk @ weight.T, x, target, 50, max_logits=max_logits)
    return loss.detach(), *torch.autograd.grad(loss, (x, weight))


@given(rows=st.integers(1, 40), max_logits=st.integers(1, 3000))
def test_chunks_change_neither_loss_nor_gradients(rows, max_logits):
    for whole, chunked in zip(losses(rows, 10**9), losses(rows, max_logits), strict=True):
        torch.testing.assert_close(chunked, whole, rtol=1e-5, atol=1e-5)


def test_no_more_logits_are_held_than_allowed():
    largest = 0

    def head(x):
        nonlocal largest
        logits = x @ torch.ones(8, 100, requires_grad=True)
        largest = max(largest, logits.numel())
        return logits

    token_loss_sum(head, torch.randn(64, 8), torch.zeros(64, dtype=torch.int64), 100, max_logits=1000).backward()
    assert largest == 1000


def test_a_row_without_valid_targets_adds_nothing():
    x = torch.randn(4, 8, requires_grad=True)
    loss = token_loss_sum(lambda chunk: chunk @ torch.ones(8, 5), x, torch.full((4,), IGNORE), 5)
    loss.backward()
    assert loss.item() == 0
    assert x.grad.abs().sum() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_sum_is_taken_in_fp32(dtype):
    x = torch.ones(3, 8, dtype=dtype)
    loss = token_loss_sum(lambda chunk: chunk @ torch.ones(8, 5, dtype=dtype), x, torch.tensor([0, 1, 2]), 5)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(3 * torch.log(torch.tensor(5.0)).item(), rel=1e-6)
