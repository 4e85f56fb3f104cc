"""Optimizers by name, with weight decay where it belongs."""

from collections.abc import Iterable

import torch
from torch import nn

from llmforge.config.train import OptimizerSection
from llmforge.parallel.strategy import BuildOptimizer


def build_optimizer(section: OptimizerSection) -> BuildOptimizer:
    """What makes the optimizer once a strategy has distributed the parameters.

    Args:
        section: the optimizer's name and numbers.
    Returns: a function over (name, parameter) pairs.
    """

    def build(parameters: Iterable[tuple[str, nn.Parameter]]) -> torch.optim.Optimizer:
        return _BUILDERS[section.name](decay_groups(parameters, section.weight_decay), section)

    return build


def decay_groups(
    parameters: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, list[nn.Parameter] | float]]:
    """Two groups: matrices, which are decayed, and vectors (biases, norms), which are not.

    A decayed norm scale or bias has nothing to counter it where the layer after it can undo the change; GPT-2's and
    GPT-3's successors decay matrices only. An empty group is left out.
    """
    named = list(parameters)
    matrices = [parameter for _, parameter in named if parameter.dim() >= 2]
    vectors = [parameter for _, parameter in named if parameter.dim() < 2]
    groups: list[dict[str, list[nn.Parameter] | float]] = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _adamw(groups: list[dict[str, list[nn.Parameter] | float]], section: OptimizerSection) -> torch.optim.Optimizer:
    # Fused: one pass over memory instead of a dozen; it exists for CPUs and GPUs alike.
    return torch.optim.AdamW(groups, lr=section.lr, betas=(section.beta1, section.beta2), eps=section.eps, fused=True)


_BUILDERS = {"adamw": _adamw}
