"""The one global norm and the one clipping routine of all torch strategies."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_ROW = 1 << 10
"""Numbers that are added up in fp32 before fp64 takes over: the sum of a million squares is 1e-5 off on a CPU."""


def squared_norm(gradients: Sequence[Tensor], replicas: int) -> Tensor:
    """One rank's share of the squared global norm, fp64: over all ranks, each parameter adds up to once.

    Args:
        gradients: this rank's gradients, or its shards of them.
        replicas: ranks that hold the same ones (count).
    """
    norms = [norm for gradient in gradients for norm in _row_norms(gradient.flatten())]
    return torch.cat(norms).double().square().sum() / replicas


def _row_norms(values: Tensor) -> Iterator[Tensor]:
    whole = len(values) - len(values) % _ROW
    if whole:
        yield torch.linalg.vector_norm(values[:whole].view(-1, _ROW), dim=1)
    if whole < len(values) or not whole:
        yield torch.linalg.vector_norm(values[whole:]).view(1)


def unscale(gradients: Sequence[Tensor], loss_scale: float) -> None:
    """Divide gradients in place by what the loss was multiplied by, a power of two."""
    if loss_scale != 1.0:
        torch._foreach_mul_(list(gradients), 1 / loss_scale)


def clip(gradients: Sequence[Tensor], norm: float, max_norm: float) -> None:
    """Scale gradients in place so that their global norm is `max_norm` at most."""
    if norm > max_norm:
        torch._foreach_mul_(list(gradients), max_norm / norm)
