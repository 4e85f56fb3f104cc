"""Muon: the momentum of a matrix, made orthogonal, so that all its directions move alike; AdamW for the rest."""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate
from torch.optim import Optimizer
from torch.optim.adamw import adamw

_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
# The update of an orthogonal (rows, columns) matrix has a root mean square of 1 / sqrt(max(rows, columns)); AdamW's
# is 0.2 to 0.4 in practice. Scaled to 0.2, both take the same learning rate and weight decay (Liu et al. 2025, eq. 4).
_RMS = 0.2

Parts = Callable[[Tensor, Tensor], Tensor]
"""From a parameter and a tensor to the whole tensor, or to this rank's part of it."""


class Muon(Optimizer):
    """Muon for groups with `orthogonal: True`, which hold matrices only, and AdamW for the others.

    A sharded matrix is gathered for its update, and every rank keeps its own part: the result is that of one process.

    Args:
        params: groups of parameters, each with `orthogonal` and `weight_decay`.
        lr: of both kinds.
        momentum: decay of Muon's momentum, taken in Nesterov's form.
        betas, eps: of AdamW.
        bf16: whether matrices are made orthogonal in bf16 on CPUs, too, as they are on GPUs.

    Source: Jordan et al., Muon (2024); Liu et al., Muon is Scalable for LLM Training (2025), for scale and decay.
    """

    def __init__(
        self, params: Any, *, lr: float, momentum: float, betas: tuple[float, float], eps: float, bf16: bool = False
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "fused": True})
        self._bf16 = bf16
        self._gather: Parts = _whole
        self._own_part: Parts = _own_part

    def distribute(self, gather: Parts, own_part: Parts) -> None:
        """Take over how a parameter's matrix is put together from the ranks, and which part of it is this rank's."""
        self._gather, self._own_part = gather, own_part

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            given = [parameter for parameter in group["params"] if parameter.grad is not None]
            self._orthogonal(given, group) if group["orthogonal"] else self._adamw(given, group)

    def _orthogonal(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Matrices of one shape go through the iteration together."""
        by_shape: defaultdict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for parameter in parameters:
            direction_RC = self._direction(parameter, group["momentum"])
            by_shape[direction_RC.shape].append((parameter, direction_RC))
        for shape, alike in by_shape.items():
            updates_NRC = orthogonalise(torch.stack([direction_RC for _, direction_RC in alike]), bf16=self._bf16)
            lr = group["lr"] * _RMS * math.sqrt(max(shape))
            for (parameter, _), update_RC in zip(alike, updates_NRC.to(parameters[0].dtype), strict=True):
                parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                parameter.add_(self._own_part(parameter, update_RC), alpha=-lr)

    def _direction(self, parameter: Tensor, momentum: float) -> Tensor:
        """The whole matrix of gradient and momentum, blended as Nesterov does."""
        assert parameter.grad is not None
        state = self.state[parameter]
        average = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
        average.lerp_(parameter.grad, 1.0 - momentum)
        direction: Tensor = parameter.grad.lerp(average, momentum)
        return self._gather(parameter, direction)

    def _adamw(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )


def orthogonalise(matrices_NRC: Tensor, *, bf16: bool = False) -> Tensor:
    """Matrices with the same singular vectors and singular values near 1 (about 0.7 to 1.2), by Newton-Schulz.

    Args:
        matrices_NRC: N matrices of R rows and C columns.
        bf16: compute in bf16, whose precision suffices; on GPUs that is always done.
    Returns: the same shape; bf16 or fp32.
    Source: Jordan et al., Muon (2024): five quintic iterations.
    """
    x = matrices_NRC.to(torch.bfloat16 if bf16 or matrices_NRC.is_cuda else torch.float32)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    a, b, c = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _whole(_parameter: Tensor, tensor: Tensor) -> Tensor:
    """A tensor that is distributed as the parameter is, put together."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _own_part(like: Tensor, whole: Tensor) -> Tensor:
    """What this rank holds of a whole tensor, if `like` is sharded."""
    if not isinstance(like, DTensor):
        return whole
    everywhere = DTensor.from_local(whole, like.device_mesh, [Replicate()] * like.device_mesh.ndim, run_check=False)
    part: Tensor = everywhere.redistribute(placements=like.placements)
    return part
