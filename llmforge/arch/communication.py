"""What a rank sends in one optimizer step, and how long a pipeline idles, in closed form.

Collectives count as rings: over n ranks, reducing or gathering N bytes sends N (n - 1) / n from every rank, and an
all-reduce, which does both, twice that. On gloo a reduce-scatter costs as much as an all-reduce.
"""

from dataclasses import dataclass

from llmforge.arch.activations import FP32, Precision, width_of
from llmforge.arch.architecture import Architecture
from llmforge.arch.memory import Layout, rank_parameters


@dataclass(frozen=True)
class Communication:
    """Bytes that the busiest rank sends in one optimizer step, by kind of message."""

    all_reduce: float = 0.0
    all_gather: float = 0.0
    reduce_scatter: float = 0.0
    p2p: float = 0.0

    @property
    def total(self) -> float:
        """All kinds together (bytes)."""
        return self.all_reduce + self.all_gather + self.reduce_scatter + self.p2p

    def __add__(self, other: "Communication") -> "Communication":
        return Communication(
            self.all_reduce + other.all_reduce,
            self.all_gather + other.all_gather,
            self.reduce_scatter + other.reduce_scatter,
            self.p2p + other.p2p,
        )


def step_communication(
    arch: Architecture, sequences: int, layout: Layout, precision: Precision = "fp32", *, accumulation: int = 1
) -> Communication:
    """What the busiest rank sends in one optimizer step.

    Args:
        arch: the model.
        sequences: in one forward pass of a rank (count).
        layout: how the run is spread.
        precision: of the matrix products.
        accumulation: forward passes of a rank in the step (count).
    """
    tokens = sequences * arch.context * accumulation
    return (
        _data(rank_parameters(arch, layout), layout, precision, accumulation)
        + _tensor(arch, tokens, layout, width_of(precision))
        + _pipeline(arch, tokens, layout)
    )


def _data(params: int, layout: Layout, precision: Precision, accumulation: int) -> Communication:
    """Gradients between data ranks, fp32, and weights where they are sharded: FSDP sends its fp32 ones.

    Source: Rajbhandari et al. 2020 (ZeRO), section 7.
    """
    width = FP32 if layout.zero_stage is None else width_of(precision)
    gather, scatter = width * params * _ring(layout.shard), FP32 * params * _ring(layout.shard)
    reduced = Communication(all_reduce=2 * FP32 * params / layout.shard * _ring(layout.replicate))
    if layout.zero_stage == 1:
        return Communication(all_gather=gather, reduce_scatter=scatter)
    if layout.zero_stage == 2:
        return Communication(all_gather=gather, reduce_scatter=scatter * accumulation)
    # Weights are gathered for the forward pass and again for the backward pass, of every micro-batch.
    return reduced + Communication(all_gather=2 * gather * accumulation, reduce_scatter=scatter * accumulation)


def _tensor(arch: Architecture, tokens: int, layout: Layout, width: int) -> Communication:
    """Two sums a block on the way forward and two on the way back, and those around embedding and head.

    Source: Shoeybi et al. 2019 (Megatron-LM), section 3.
    """
    layers = -(-arch.layers // layout.pipeline)
    sums = (4 + (2 if layout.recompute == "full" else 0)) * layers + 2
    logits = tokens * arch.vocab_size * width * _ring(layout.tensor)
    return Communication(all_reduce=2 * sums * tokens * arch.dim * width * _ring(layout.tensor), all_gather=logits)


def _pipeline(arch: Architecture, tokens: int, layout: Layout) -> Communication:
    """Hidden states forward, their gradients backward, fp32; a tied table's gradient between first and last stage."""
    if layout.pipeline == 1:
        return Communication()
    directions = 2 if layout.pipeline > 2 else 1
    tied = FP32 * arch.vocab_size * arch.dim / layout.tensor if arch.tied else 0
    return Communication(p2p=directions * tokens * arch.dim * FP32, all_reduce=tied)


def _ring(ranks: int) -> float:
    return (ranks - 1) / ranks


def bubble_share(stages: int, micro_batches: int, chunks: int = 1) -> float:
    """Time that a pipeline's ranks wait, as a share of the time that they compute.

    Args:
        stages: pipeline ranks (count).
        micro_batches: of one step (count); plain model parallelism has one in flight at a time.
        chunks: stages of a rank (count), 2 in an interleaved schedule.

    Source: Narayanan et al. 2021, section 2.2.
    """
    return (stages - 1) / (chunks * micro_batches)
