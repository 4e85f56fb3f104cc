"""Optimizers by name, with weight decay where it belongs."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from llmforge.config.train import OptimizerSection
from llmforge.parallel.strategy import BuildOptimizer
from llmforge.train.lion import Lion
from llmforge.train.muon import Muon

Named = Iterable[tuple[str, nn.Parameter]]
Groups = list[dict[str, Any]]


def build_optimizer(section: OptimizerSection, *, bf16: bool = False) -> BuildOptimizer:
    """What makes the optimizer once a strategy has distributed the parameters.

    Args:
        section: the optimizer's name and numbers.
        bf16: whether the training computes in bf16, which Muon's iterations then do, too; states stay fp32.
    Returns: a function over (name, parameter) pairs.
    """

    def build(parameters: Named) -> torch.optim.Optimizer:
        if section.name == "muon":
            return _muon(parameters, section, bf16=bf16)
        return _BUILDERS[section.name](decay_groups(parameters, section.weight_decay), section)

    return build


def decay_groups(parameters: Named, weight_decay: float) -> Groups:
    """Two groups: matrices, which are decayed, and vectors (biases, norms), which are not.

    A decayed norm scale or bias has nothing to counter it where the layer after it can undo the change; GPT-2's and
    GPT-3's successors decay matrices only. An empty group is left out.
    """
    named = list(parameters)
    groups: Groups = [
        {"params": [parameter for _, parameter in named if parameter.dim() >= 2], "weight_decay": weight_decay},
        {"params": [parameter for _, parameter in named if parameter.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def muon_groups(parameters: Named, weight_decay: float) -> Groups:
    """The blocks' matrices, for orthogonal updates; then embeddings, head, norms and biases as `decay_groups` has them.

    Embeddings and head map from and to tokens, not between hidden states: their updates are not made orthogonal.
    """
    named = list(parameters)
    hidden = [parameter for name, parameter in named if name.startswith("blocks.") and parameter.dim() == 2]
    others = [(name, parameter) for name, parameter in named if not any(parameter is one for one in hidden)]
    orthogonal: Groups = [{"params": hidden, "weight_decay": weight_decay, "orthogonal": True}] if hidden else []
    return [*orthogonal, *({**group, "orthogonal": False} for group in decay_groups(others, weight_decay))]


# `fused`: one pass over memory instead of a dozen; it exists for CPUs and GPUs alike.
_BUILDERS: dict[str, Callable[[Groups, OptimizerSection], Optimizer]] = {
    "sgd": lambda groups, s: SGD(groups, lr=s.lr, fused=True),
    "momentum": lambda groups, s: SGD(groups, lr=s.lr, momentum=s.momentum, fused=True),
    "nesterov": lambda groups, s: SGD(groups, lr=s.lr, momentum=s.momentum, nesterov=s.momentum > 0, fused=True),
    "adam": lambda groups, s: Adam(groups, lr=s.lr, betas=(s.beta1, s.beta2), eps=s.eps, fused=True),
    "adamw": lambda groups, s: AdamW(groups, lr=s.lr, betas=(s.beta1, s.beta2), eps=s.eps, fused=True),
    "rmsprop": lambda groups, s: RMSprop(groups, lr=s.lr, alpha=s.beta2, eps=s.eps),
    "adagrad": lambda groups, s: Adagrad(groups, lr=s.lr, eps=s.eps),
    "lion": lambda groups, s: Lion(groups, lr=s.lr, betas=(s.beta1, s.beta2)),
}


def _muon(parameters: Named, s: OptimizerSection, *, bf16: bool) -> Muon:
    groups, betas = muon_groups(parameters, s.weight_decay), (s.beta1, s.beta2)
    return Muon(groups, lr=s.lr, momentum=s.momentum, betas=betas, eps=s.eps, bf16=bf16)
