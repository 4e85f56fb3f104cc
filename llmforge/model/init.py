"""Weights from seeds that are derived from parameter names: every rank and every strategy starts from the same bits."""

import math

import torch
from torch import Tensor, nn

from llmforge.arch.architecture import Architecture
from llmforge.core.hashing import derive_seed
from llmforge.model.layout import ROW_SPLIT

_STD = 0.02


def initial_value(name: str, shape: torch.Size, arch: Architecture, seed: int) -> Tensor:
    """The first value of a parameter, fp32 on the CPU, the same whoever asks for it.

    Matrices and embeddings are normal with standard deviation 0.02, those that write into the residual stream divided
    by sqrt(2 layers); biases are 0 and scales of norms are 1.

    Source: Radford et al. 2019 (GPT-2), section 2.3. Differs from PaLM, which scales by fan-in.
    """
    if name.endswith(".bias"):
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.ones(shape)
    writes_residual = name.removesuffix(".weight").endswith(ROW_SPLIT)
    std = _STD / math.sqrt(2 * arch.layers) if writes_residual else _STD
    generator = torch.Generator().manual_seed(derive_seed(seed, "init", name))
    return torch.empty(shape).normal_(0.0, std, generator=generator)


@torch.no_grad()
def initialise(model: nn.Module, arch: Architecture, seed: int) -> None:
    """Give every parameter its first value; tied parameters go by their first name."""
    for name, parameter in model.named_parameters():
        parameter.copy_(initial_value(name, parameter.shape, arch, seed))
