"""Lion: the sign of a blend of momentum and gradient, so that every number moves by the same amount."""

from typing import Any

import torch
from torch.optim import Optimizer


class Lion(Optimizer):
    """Lion with decoupled weight decay; its one state is the momentum.

    Args:
        params: parameters or groups of them; a group may set its own `weight_decay`.
        lr: step size; a tenth to a third of AdamW's, with a weight decay that much larger (section 5).
        betas: share of the momentum in the update, and decay of the momentum.
        weight_decay: pulls weights towards 0 by lr times this share a step.

    Source: Chen et al., Symbolic Discovery of Optimization Algorithms (2023), algorithm 2.
    """

    def __init__(self, params: Any, *, lr: float, betas: tuple[float, float], weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            blend, decay = group["betas"]
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                momentum = self.state[parameter].setdefault("exp_avg", torch.zeros_like(parameter))
                update = momentum.lerp(parameter.grad, 1.0 - blend).sign_()
                parameter.mul_(1.0 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])
                momentum.lerp_(parameter.grad, 1.0 - decay)
