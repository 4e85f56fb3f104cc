"""Which degrees of parallelism a model and a batch allow: every problem at once, each with the nearest legal values."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from llmforge.arch.architecture import Architecture
from llmforge.arch.memory import Layout
from llmforge.config.problems import Problem

TWO_CHUNKS = ("interleaved_1f1b", "zero_bubble")
"""Schedules of a pipeline that give each rank two chunks of layers."""

_TENSOR, _PIPELINE = ("train", "parallel", "tensor"), ("train", "parallel", "pipeline")


@dataclass(frozen=True)
class Batch:
    """What one optimizer step takes.

    Attributes:
        tokens: of the step, over all ranks (count).
        micro_sequences: sequences of one forward pass of a rank (count).
    """

    tokens: int
    micro_sequences: int


def check(
    layout: Layout,
    arch: Architecture,
    world: int,
    batch: Batch,
    *,
    schedule: str = "1f1b",
    sequence_parallel: bool = False,
) -> list[Problem]:
    """Every reason why these degrees cannot run; empty if they can.

    Args:
        layout: the degrees.
        arch: the model.
        world: processes (count).
        batch: of one step.
        schedule: a pipeline's: "gpipe", "1f1b", or one of `TWO_CHUNKS`, which cut twice as many stages.
        sequence_parallel: whether tensor ranks split the sequence between the layers they split.
    """
    stages = layout.pipeline * (2 if schedule in TWO_CHUNKS and layout.pipeline > 1 else 1)
    return [
        *_world(layout, world),
        *_tensor(layout.tensor, arch, sequence_parallel),
        *_pipeline(layout, stages, arch, batch, schedule),
        *_zero_bubble(layout, schedule),
        *_batch(layout, arch, batch),
    ]


def _world(layout: Layout, world: int) -> Iterator[Problem]:
    if layout.world != world:
        shown = " x ".join(
            f"{name} {degree}"
            for name, degree in (
                ("replicate", layout.replicate),
                ("shard", layout.shard),
                ("tensor", layout.tensor),
                ("pipeline", layout.pipeline),
            )
            if degree > 1
        )
        lower = max(1, world // layout.world) * layout.world
        near = sorted({lower, lower + layout.world})
        yield Problem(
            ("train", "nproc"),
            f"the degrees {shown or '1'} make {layout.world} processes, or a multiple of that, and there are {world}",
            f"start {_either(near)} processes, or change the degrees",
        )


def _tensor(tensor: int, arch: Architecture, sequence_parallel: bool) -> Iterator[Problem]:
    if tensor == 1:
        return
    sizes = {"heads": arch.heads, "feed-forward units": arch.ffn_dim, "rows of the vocabulary": arch.vocab_size}
    if sequence_parallel:
        sizes["tokens of the context"] = arch.context

    def splits(degree: int) -> bool:
        shared = arch.kv_heads % degree == 0 or degree % arch.kv_heads == 0
        return shared and all(size % degree == 0 for size in sizes.values())

    legal = _nearest(tensor, range(1, arch.heads + 1), splits)
    for name, size in sizes.items():
        if size % tensor:
            yield Problem(
                _TENSOR,
                f"{tensor} tensor ranks do not divide {size:,} {name}",
                f"nearest degrees that divide all that is split: {_either(legal)}",
            )
    if arch.heads % tensor == 0 and arch.kv_heads % tensor and tensor % arch.kv_heads:
        yield Problem(
            _TENSOR,
            f"{tensor} tensor ranks and {arch.kv_heads} key and value heads: neither divides the other",
            f"nearest degrees that divide all that is split: {_either(legal)}",
        )


def _pipeline(layout: Layout, stages: int, arch: Architecture, batch: Batch, schedule: str) -> Iterator[Problem]:
    if stages == 1:
        return
    if stages > arch.layers:
        yield Problem(
            _PIPELINE,
            f"{stages} pipeline stages, and the model has {arch.layers} layers",
            f"set it to {arch.layers * layout.pipeline // stages} at most",
        )
    micro_batches, rest = divmod(batch.tokens, arch.context * layout.replicate * layout.shard * batch.micro_sequences)
    if rest or schedule == "gpipe" or layout.micro_batches == 1:
        return  # an uneven batch is told by itself; plain model parallelism takes any number
    needed = stages if schedule == "1f1b" else layout.pipeline
    if micro_batches < needed or (schedule in TWO_CHUNKS and micro_batches % layout.pipeline):
        unit = arch.context * layout.replicate * layout.shard * batch.micro_sequences * layout.pipeline
        near = sorted({max(1, batch.tokens // unit) * unit, (batch.tokens // unit + 1) * unit})
        yield Problem(
            ("train", "global_batch_tokens"),
            f"{micro_batches} micro-batches a step do not fill the schedule {schedule} of {layout.pipeline} pipeline "
            f"ranks, which takes {'at least' if schedule == '1f1b' else 'a multiple of'} {needed}",
            f"set it to {_either(near)}, or train.micro_batch_sequences lower",
        )


def _zero_bubble(layout: Layout, schedule: str) -> Iterator[Problem]:
    if schedule == "zero_bubble" and layout.pipeline > 1 and layout.world > layout.pipeline:
        yield Problem(
            ("train", "parallel", "schedule"),
            "zero_bubble computes gradients of inputs and of weights apart, which is right in a pipeline "
            "alone: DDP and FSDP miss the gradients of weights",
            "set it to interleaved_1f1b, or use --strategy pipeline",
        )


def _batch(layout: Layout, arch: Architecture, batch: Batch) -> Iterator[Problem]:
    data = layout.replicate * layout.shard
    unit = arch.context * data * batch.micro_sequences
    if batch.tokens % unit == 0:
        return
    sequences, rest = divmod(batch.tokens, arch.context)
    lower = max(1, batch.tokens // unit) * unit
    fitting = _nearest(batch.micro_sequences, range(1, sequences // data + 1), lambda n: sequences % (n * data) == 0)
    other = f", or train.micro_batch_sequences to {_either(fitting)}" if fitting and not rest else ""
    yield Problem(
        ("train", "global_batch_tokens"),
        f"{batch.tokens:,} tokens a step are no multiple of {batch.micro_sequences} sequences x {arch.context} tokens "
        f"x {data} data ranks = {unit:,}",
        f"set it to {_either([lower, lower + unit])}{other}",
    )


def _nearest(wanted: int, candidates: Iterable[int], legal: Callable[[int], bool]) -> list[int]:
    """The three legal values nearest to the one that was wanted."""
    return sorted(sorted(filter(legal, candidates), key=lambda value: abs(value - wanted))[:3])


def _either(values: Iterable[int]) -> str:
    return " or ".join(f"{value:,}" for value in values)
