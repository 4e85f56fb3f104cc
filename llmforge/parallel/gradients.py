"""The one global norm and the one clipping routine of all torch strategies."""

from collections.abc import Sequence

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
    return torch.stack([_squared_norm(gradient.flatten()) for gradient in gradients]).sum() / replicas


def _squared_norm(values: Tensor) -> Tensor:
    whole = len(values) - len(values) % _ROW
    rows: Tensor = torch.linalg.vector_norm(values[:whole].view(-1, _ROW), dim=1)
    rest: Tensor = torch.linalg.vector_norm(values[whole:])
    return rows.double().square().sum() + rest.double().square()


def clip(gradients: Sequence[Tensor], norm: float, max_norm: float) -> None:
    """Scale gradients in place so that their global norm is `max_norm` at most."""
    if norm > max_norm:
        torch._foreach_mul_(list(gradients), max_norm / norm)
