"""Full parameters and this rank's parts of them: what is split how, put apart and put together again."""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from llmforge.arch.architecture import Architecture
from llmforge.model.layout import TIED
from llmforge.parallel.groups import TensorRanks
from llmforge.parallel.tensor import split_dim


def canonical_name(name: str, arch: Architecture) -> str:
    """The name that states are kept under: that of the embedding for a tied head that stands in another stage."""
    return TIED.get(name, name) if arch.tied else name


def local(tensor: Tensor) -> Tensor:
    """What this rank stores of a parameter, a gradient or an optimizer's state; shares its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


class Sharding:
    """Parts of parameters by canonical name: tensor ranks split layers, FSDP splits what is left along rows.

    Args:
        arch: the model.
        ranks: the tensor ranks; None: there is one.
    """

    def __init__(self, arch: Architecture, ranks: TensorRanks | None) -> None:
        self._arch, self._ranks = arch, ranks

    def split_dim(self, name: str) -> int | None:
        """The dimension that tensor ranks split; None: each holds the whole."""
        return None if self._ranks is None else split_dim(name, self._arch, self._ranks.size)

    @torch.no_grad()
    def put(self, name: str, parameter: Tensor, full: Tensor) -> None:
        """Copy this rank's part of a full tensor into a parameter."""
        local(parameter).copy_(local(self.like(name, parameter, full)))

    def like(self, name: str, parameter: Tensor, full: Tensor) -> Tensor:
        """The part of a full tensor that this rank holds, distributed as the parameter is; nothing is sent."""
        dim = self.split_dim(name)
        part = full if dim is None or self._ranks is None else self._ranks.part(full, dim)
        if not isinstance(parameter, DTensor):
            return part.contiguous()  # a fused optimizer reads a state's memory from end to end
        part = part.to(parameter.device)
        return distribute_tensor(part, parameter.device_mesh, parameter.placements, src_data_rank=None)

    @torch.no_grad()
    def gather(self, name: str, part: Tensor, shape: torch.Size) -> Tensor:
        """The full tensor of which each rank holds a part; ranks of one data and tensor group call it together."""
        part = part.detach()
        part = part.full_tensor() if isinstance(part, DTensor) else part
        dim = self.split_dim(name)
        return part if dim is None or self._ranks is None else self._ranks.full(part, dim, shape[dim])


def named_parameters(model: nn.Module, arch: Architecture) -> dict[str, nn.Parameter]:
    """A model's, or a stage's, parameters by canonical name."""
    return {canonical_name(name, arch): parameter for name, parameter in model.named_parameters()}
