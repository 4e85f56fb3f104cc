"""Every strategy by name on a number of ranks: the degrees it stands for, or why this model cannot be spread so."""

from dataclasses import dataclass, replace

from llmforge.arch.architecture import Architecture
from llmforge.arch.degrees import Batch, check
from llmforge.arch.memory import Layout


@dataclass(frozen=True)
class Strategies:
    """Strategies on a number of ranks.

    Attributes:
        layouts: those that the model's sizes allow.
        left_out: why the others cannot run.
    """

    layouts: dict[str, Layout]
    left_out: dict[str, str]


def strategies_on(arch: Architecture, world: int, micro_batches: int = 1) -> Strategies:
    """Every strategy on a number of ranks, with the degrees that its name stands for where none are set.

    Args:
        arch: the model, whose heads, layers and vocabulary are split.
        world: ranks (count).
        micro_batches: forward passes of a step, over all ranks (count).
    """
    layouts, left_out = {}, {}
    for name, layout in _named_layouts(world, micro_batches).items():
        # A batch that fits any degrees: only the model is asked about here.
        problems = check(layout, arch, world, Batch(arch.context * world * world, 1))
        if problems:
            left_out[name] = problems[0].what
        else:
            layouts[name] = layout
    return Strategies(layouts, left_out)


def _named_layouts(world: int, micro_batches: int) -> dict[str, Layout]:
    if world == 1:
        one = Layout(micro_batches=micro_batches)
        return {"single": one, "single, recompute": replace(one, recompute="full")}
    shared = max(1, micro_batches // world)
    sharded = Layout(shard=world, micro_batches=shared)
    zero = {f"zero{stage}": replace(sharded, zero_stage=stage) for stage in (1, 2, 3)}
    return {
        "ddp": Layout(replicate=world, micro_batches=shared),
        "fsdp": sharded,
        **zero,
        **{f"{name}, offload": replace(layout, offload=True) for name, layout in zero.items()},
        "fsdp, recompute": replace(sharded, recompute="full"),
        "tensor": Layout(tensor=world, micro_batches=micro_batches),
        "pipeline": Layout(pipeline=world, micro_batches=micro_batches),
        "model": Layout(pipeline=world),
        "2d": Layout(tensor=2, pipeline=max(1, world // 2), micro_batches=micro_batches),
        "3d": _three_axes(world, micro_batches),
    }


def _three_axes(world: int, micro_batches: int) -> Layout:
    """Two tensor ranks, two pipeline stages, and FSDP over the rest."""
    shard = max(1, world // 4)
    return Layout(shard=shard, tensor=2, pipeline=2, micro_batches=max(1, micro_batches // shard))
