"""The process groups of a mesh: who exchanges what with whom."""

from dataclasses import dataclass
from functools import cache

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from llmforge.parallel.mesh import AXES, Degrees


@dataclass(frozen=True)
class Groups:
    """The groups that one rank belongs to.

    Attributes:
        mesh: all ranks along `AXES`.
        ends: the first and the last stage of this rank's pipeline, which share a tied embedding; None between them.
    """

    mesh: DeviceMesh
    ends: dist.ProcessGroup | None

    def along(self, axis: str) -> dist.ProcessGroup:
        """The ranks that differ from this one on one axis only."""
        return self.mesh.get_group(axis)


def make_groups(degrees: Degrees, device: torch.device) -> Groups:
    """The groups of a mesh over all processes; every rank calls it, and they are made once."""
    assert dist.group.WORLD is not None, "the processes have met"
    return _make_groups(degrees, device.type, dist.group.WORLD)


@cache
def _make_groups(degrees: Degrees, device_type: str, _world: dist.ProcessGroup) -> Groups:
    shape = tuple(getattr(degrees, axis) for axis in AXES)
    mesh = init_device_mesh(device_type, shape, mesh_dim_names=AXES)
    ends = None
    if degrees.pipeline > 1:
        stages = mesh.mesh.reshape(degrees.pipeline, -1)
        pairs = torch.stack([stages[0], stages[-1]], dim=1).tolist()
        ends, _ = dist.new_subgroups_by_enumeration(pairs)  # type: ignore[no-untyped-call]
    return Groups(mesh, ends)


@dataclass(frozen=True)
class TensorRanks:
    """The ranks that split layers together, and what they exchange. Parts are as even as whole numbers allow."""

    group: dist.ProcessGroup
    rank: int
    size: int

    def bounds(self, length: int) -> tuple[int, int]:
        """Start and end of this rank's part of a dimension."""
        width = -(-length // self.size)
        return min(self.rank * width, length), min((self.rank + 1) * width, length)

    def part(self, x: Tensor, dim: int) -> Tensor:
        """The part of a full tensor that this rank holds."""
        start, end = self.bounds(x.shape[dim])
        return x.narrow(dim, start, end - start)

    def total(self, x: Tensor) -> Tensor:
        """Sum over the ranks."""
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x, group=self.group)
        return x

    def largest(self, x: Tensor) -> Tensor:
        """Maximum over the ranks."""
        x = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x, dist.ReduceOp.MAX, group=self.group)
        return x

    def total_part(self, x: Tensor, dim: int) -> Tensor:
        """The part of the sum over the ranks that this rank holds (gloo's reduce-scatter sends no less)."""
        return self.part(self.total(x), dim).contiguous()

    def full(self, part: Tensor, dim: int, length: int) -> Tensor:
        """The full tensor of which every rank holds a part; `length` is its size along `dim`."""
        width = -(-length // self.size)
        padding = part.new_zeros([*part.shape[:dim], width - part.shape[dim], *part.shape[dim + 1 :]])
        padded = torch.cat([part, padding], dim).contiguous()
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded, group=self.group)
        return torch.cat(parts, dim).narrow(dim, 0, length)
