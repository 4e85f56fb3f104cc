import torch
from hypothesis import given
from hypothesis import strategies as st

from llmforge.parallel.gradients import clip, squared_norm


def some_gradients(seed, num_tensors):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, n + 1, generator=generator) for n in range(num_tensors)]


@given(seed=st.integers(0, 99), num_tensors=st.integers(1, 5), max_norm=st.floats(0.01, 100))
def test_clipping_keeps_the_direction_and_holds_the_limit(seed, num_tensors, max_norm):
    gradients = some_gradients(seed, num_tensors)
    before = torch.cat([g.flatten() for g in gradients])
    norm = squared_norm(gradients, replicas=1).sqrt().item()
    assert abs(norm - before.double().norm().item()) <= 1e-5 * norm
    clip(gradients, norm, max_norm)
    after = torch.cat([g.flatten() for g in gradients])
    torch.testing.assert_close(after, before * min(1.0, max_norm / norm), rtol=1e-5, atol=1e-6)


def test_replicas_add_up_to_one():
    gradients = some_gradients(0, 3)
    assert squared_norm(gradients, replicas=4).item() * 4 == squared_norm(gradients, replicas=1).item()


def test_one_nan_makes_the_norm_nan():
    assert squared_norm([torch.ones(3), torch.tensor([1.0, torch.nan])], replicas=1).isnan()


def test_the_norm_of_one_long_gradient_is_as_exact_as_that_of_many_short_ones():
    gradient = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)) * 1e-3
    exact = gradient.double().square().sum().item()
    assert abs(squared_norm([gradient], replicas=1).item() / exact - 1) < 1e-8  # in fp32 alone: 2e-5
