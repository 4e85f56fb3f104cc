"""Names of strategies as degrees of parallelism, and each rank's place on the mesh that they span. No torch."""

import math
from dataclasses import dataclass, replace

from llmforge.config.parallel import ParallelSection
from llmforge.core.errors import SettingsError

AXES = ("pipeline", "replicate", "shard", "tensor")
"""Axes of the mesh; neighbouring ranks differ in the last one, which talks most."""

_ALLOWED = {
    "single": (),
    "ddp": ("replicate",),
    "fsdp": ("shard", "replicate"),
    "model": ("pipeline",),
    "pipeline": ("pipeline",),
    "tensor": ("tensor",),
    "2d": ("pipeline", "tensor", "shard", "replicate"),
    "3d": ("shard", "replicate", "tensor", "pipeline"),
}
"""The axes of each strategy; the first one takes the ranks that the others leave."""


@dataclass(frozen=True)
class Degrees:
    """Over how many ranks each axis of the mesh goes; their product is the number of processes.

    Attributes:
        replicate: groups that hold all weights and share the batch (data parallel).
        shard: ranks that share weights, gradients, optimizer states and the batch (FSDP).
        tensor: ranks that split each layer.
        pipeline: ranks that split the model by layers.
    """

    replicate: int = 1
    shard: int = 1
    tensor: int = 1
    pipeline: int = 1

    @property
    def world(self) -> int:
        """Ranks (count)."""
        return self.replicate * self.shard * self.tensor * self.pipeline

    @property
    def data(self) -> int:
        """Slices of a global batch (count)."""
        return self.replicate * self.shard

    def coordinate(self, rank: int) -> "Degrees":
        """Where a rank stands on each axis, counted from 0."""
        places = {}
        for axis in reversed(AXES):
            rank, places[axis] = divmod(rank, getattr(self, axis))
        return Degrees(**places)

    def data_rank(self, rank: int) -> int:
        """The slice of a global batch that a rank takes; equal inside tensor and pipeline groups."""
        place = self.coordinate(rank)
        return place.replicate * self.shard + place.shard


def degrees_of(strategy: str, world_size: int, section: ParallelSection | None = None) -> Degrees:
    """The mesh that a strategy's name stands for on this number of processes.

    Args:
        strategy: a name, not "auto".
        world_size: processes (count).
        section: degrees that the settings give; None: none.

    Raises: SettingsError if the name does not allow an axis, or the product is not the number of processes.
    """
    allowed = _ALLOWED[strategy]
    given = {axis: getattr(section, axis) for axis in AXES if section and getattr(section, axis) is not None}
    for axis, degree in given.items():
        if degree > 1 and axis not in allowed:
            raise SettingsError(
                f"train.parallel.{axis} is {degree}, but the strategy {strategy} has no such axis",
                f"leave it out, or use {'fsdp' if axis in ('replicate', 'shard') else '2d'}",
            )
    degrees = replace(Degrees(), **given)
    if free := _free_axes(strategy, given):
        degrees = _fill(degrees, free, world_size)
    if degrees.world != world_size:
        shown = " x ".join(f"{axis} {getattr(degrees, axis)}" for axis in allowed or ("replicate",))
        raise SettingsError(
            f"train.strategy is {strategy} with {shown} = {degrees.world} processes, but there are {world_size}",
            f"start {degrees.world}, or change train.parallel",
        )
    return degrees


def _free_axes(strategy: str, given: dict[str, int]) -> tuple[str, ...]:
    """The axes whose degree the number of processes decides, the greediest first."""
    if strategy == "fsdp":
        return tuple(axis for axis in ("shard",) if axis not in given)
    if strategy == "2d":
        chosen = tuple(axis for axis in _ALLOWED["2d"] if given.get(axis, 1) > 1)
        return () if len(chosen) > 1 else tuple(axis for axis in ("pipeline", "tensor") if axis not in given)
    if strategy == "3d":
        data = () if {"replicate", "shard"} <= given.keys() or given.get("replicate", 1) > 1 else ("shard",)
        return tuple(axis for axis in (*data, "tensor", "pipeline") if axis not in given)
    return tuple(axis for axis in _ALLOWED[strategy] if axis not in given)


def _fill(degrees: Degrees, free: tuple[str, ...], world_size: int) -> Degrees:
    """Two ranks for each free axis but the first, which takes the rest (at least one)."""
    degrees = replace(degrees, **dict.fromkeys(free[1:], 2))
    return replace(degrees, **{free[0]: max(1, math.floor(world_size / degrees.world))})
