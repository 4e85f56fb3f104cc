"""Memory of one rank while training, in closed form: states, activations, loss and buffers, for every layout.

fp32 weights with AdamW; bf16 runs the matrix products under autocast (mesh) or keeps bf16 weights beside fp32
masters (ZeRO). It is the fuller of two moments in a pass that is not a step's first one, so that gradients and
activations are alive together: at the loss, and in the backward pass of the last block. The last pass of a step
with one pass alone holds less.
"""

from dataclasses import dataclass

from llmforge.arch.activations import (
    FP32,
    HALF,
    MAX_LOGITS,
    MAX_LOGITS_GPU,
    Numbers,
    Precision,
    Recompute,
    kept_bytes,
    loss_bytes,
    working_bytes,
)
from llmforge.arch.architecture import Architecture
from llmforge.arch.params import Weight, list_weights

_ADAM_MOMENTS = 2
# DeepSpeed's default reduce_bucket_size, in elements; a smaller model needs no more than its own size.
_BUCKET_ELEMENTS = 500_000_000
# And its stage3_max_live_parameters: so many gathered weights stay for the backward pass.
_LIVE_ELEMENTS = 1_000_000_000
_ROW_SPLIT = ("attention.out", "ffn.down")


@dataclass(frozen=True)
class Layout:
    """How a run is spread over ranks.

    Attributes:
        replicate, shard, tensor, pipeline: degrees; their product is the number of ranks.
        zero_stage: 1, 2 or 3 where DeepSpeed shards the states; None: FSDP does, if `shard` is above 1.
        offload: whether ZeRO keeps optimizer states in host memory.
        micro_batches: forward passes of a step and rank (count); a pipeline's first stage has as many in flight as it
            has stages, if there are that many.
        recompute: what the backward pass computes again instead of keeping it.
        sequence_parallel: whether tensor ranks share the sequence between the layers that they split.
        vocabulary_parallel_loss: whether tensor ranks take the loss over parts of the logits.
    """

    replicate: int = 1
    shard: int = 1
    tensor: int = 1
    pipeline: int = 1
    zero_stage: int | None = None
    offload: bool = False
    micro_batches: int = 1
    recompute: Recompute = "none"
    sequence_parallel: bool = False
    vocabulary_parallel_loss: bool = False

    @property
    def world(self) -> int:
        """Ranks (count)."""
        return self.replicate * self.shard * self.tensor * self.pipeline

    def in_flight(self, place: int = 0) -> int:
        """Micro-batches whose activations a pipeline stage holds at once (count); the first stage's is 0."""
        return min(self.pipeline - place, self.micro_batches)


@dataclass(frozen=True)
class Memory:
    """Bytes of the fullest rank, by what they hold.

    Attributes:
        weights, gradients, optimizer: this rank's share; casts of weights count as weights.
        activations: what forward passes keep for their backward passes, and what one block works with.
        loss: last norm, logits, their logarithms and their gradient; 0 where a block's backward pass takes more.
        buffers: gathered weights and gradients on their way between ranks.
        host: what is kept in host memory instead; no part of `total`.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    loss: int
    buffers: int = 0
    host: int = 0

    @property
    def total(self) -> int:
        """All that the device holds (bytes)."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.loss + self.buffers


def training_memory(
    arch: Architecture,
    sequences: int,
    layout: Layout | None = None,
    precision: Precision = "fp32",
    *,
    gpu: bool = False,
    numbers: Numbers | None = None,
) -> Memory:
    """Memory of the fullest rank.

    Args:
        arch: the model.
        sequences: in one forward pass of a rank (count).
        layout: how the run is spread; None: one process.
        precision: of the matrix products.
        gpu: whether the rank computes on a GPU, which takes the loss over more logits at a time.
        numbers: more about them; None: what llmforge's own engines do.
    """
    layout = layout or Layout()
    max_logits = MAX_LOGITS_GPU if gpu else MAX_LOGITS
    numbers = numbers or Numbers(precision, autocast=layout.zero_stage is None, max_logits=max_logits)
    places = sorted({0, layout.pipeline - 1})
    moments = [memory for place in places for memory in _moments(arch, sequences, layout, numbers, place)]
    return max(moments, key=lambda memory: memory.total)


def _moments(arch: Architecture, sequences: int, layout: Layout, numbers: Numbers, place: int) -> list[Memory]:
    """A rank of the first or the last pipeline stage at its loss, and in the backward pass of its last block."""
    weights = stage_weights(arch, layout.pipeline, place)
    params = sum(_rank_share(weight, layout.tensor) for weight in weights)
    tokens, tensor = sequences * arch.context, layout.tensor
    layers = -(-arch.layers // layout.pipeline)
    in_flight = layout.in_flight(place)
    slices = tensor if layout.sequence_parallel else 1
    kept = in_flight * kept_bytes(
        arch, tokens, layers, numbers, tensor=tensor, recompute=layout.recompute, slices=slices
    )
    working = working_bytes(arch, tokens, numbers, tensor=tensor, recompute=layout.recompute)
    # What a block kept goes as its gradients come.
    going = kept / layers / in_flight if layout.recompute == "none" else 0
    parts = tensor if layout.vocabulary_parallel_loss else 1
    loss = loss_bytes(arch, tokens, numbers, parts) if place == layout.pipeline - 1 else 0
    units, largest = _gathered_units(weights, layout), max(weight.each for weight in weights)
    at_loss, in_block = (
        _states(params, largest, buffers, layout, numbers)
        for buffers in _buffers(params, largest, units, layout, numbers)
    )
    return [
        Memory(**at_loss, activations=int(kept), loss=int(loss)),
        Memory(**in_block, activations=int(kept - going + working), loss=0),
    ]


def _gathered_units(weights: list[Weight], layout: Layout) -> tuple[int, int]:
    """Parameters that FSDP gathers together, on one tensor rank: of a block, and of all that is in none."""
    block = sum(_rank_share(weight, layout.tensor) // weight.copies for weight in weights if weight.in_block)
    return block, sum(_rank_share(weight, layout.tensor) for weight in weights if not weight.in_block)


def rank_parameters(arch: Architecture, layout: Layout) -> int:
    """Parameters of the fullest tensor rank and pipeline stage (count); data ranks may share them further."""
    places = {0, layout.pipeline - 1}
    stages = (stage_weights(arch, layout.pipeline, place) for place in places)
    return max(sum(_rank_share(weight, layout.tensor) for weight in weights) for weights in stages)


def stage_weights(arch: Architecture, stages: int, place: int) -> list[Weight]:
    """The weights of a pipeline stage; a tied table stands on the first and on the last one.

    Args:
        arch: the model.
        stages: pipeline stages (count); the first ones have a block more where they do not divide.
        place: 0 for the first stage.
    """
    layers = arch.layers // stages + (1 if place < arch.layers % stages else 0)
    held = []
    for weight in list_weights(arch):
        if weight.in_block:
            held.append(Weight(weight.name, weight.role, weight.inputs, weight.outputs, weight.bias, layers))
        elif weight.name in ("final_norm", "head"):
            held += [weight] if place == stages - 1 else []
        elif place == 0 or (weight.name == "embedding" and arch.tied and place == stages - 1):
            held.append(weight)
    return held


def _rank_share(weight: Weight, tensor: int) -> int:
    """Parameters of one weight on one tensor rank: matrices and tables are split, norms and summed biases are not."""
    if weight.role == "norm" or weight.name == "position":
        return weight.total
    if weight.bias and weight.name.endswith(_ROW_SPLIT):
        return weight.copies * (weight.inputs * weight.outputs // tensor + weight.outputs)
    return -(-weight.total // tensor)


def _states(params: int, largest: int, buffers: int, layout: Layout, numbers: Numbers) -> dict[str, int]:
    """Weights, gradients, optimizer states and buffers of a rank that stands for `params` parameters."""
    if layout.zero_stage is not None:
        return {**_zero_states(params, largest, layout, numbers), "buffers": buffers}
    share = -(-params // layout.shard)
    # The backward pass needs the casts of whole weights, of which shards have no part.
    casts = HALF * params if numbers.casts else 0
    moments = _ADAM_MOMENTS * FP32
    return {
        "weights": FP32 * share + casts,
        "gradients": FP32 * share,
        "optimizer": moments * share,
        "buffers": buffers,
    }


def _buffers(params: int, largest: int, units: tuple[int, int], layout: Layout, numbers: Numbers) -> tuple[int, int]:
    """What is on its way between ranks at the loss, and in the backward pass of a block (bytes)."""
    if layout.zero_stage is not None:
        buffers = _zero_buffers(params, largest, layout, numbers)
        return buffers, buffers
    if layout.shard > 1:
        block, rest = units
        width = numbers.width if not numbers.autocast else FP32
        # A block's weights stay for its backward pass; there, the next block's come, its gradients, and their sums.
        return width * (block + rest), width * (2 * block + rest) + (width + FP32) * block
    # DDP's buckets are a second copy of the gradients, which have not been reduced yet in all but the last pass.
    buckets = FP32 * params if layout.replicate > 1 and layout.micro_batches > 1 else 0
    return buckets, buckets


def _zero_states(params: int, largest: int, layout: Layout, numbers: Numbers) -> dict[str, int]:
    """States under DeepSpeed: stage 1 shards the optimizer, 2 the gradients too, 3 the weights too.

    Gradients are summed in fp32, as llmforge asks for; in bf16, stage 1 holds them whole in both precisions. In host
    memory, stages 1 and 2 add passes up in a second copy, through a buffer of the largest weight's size.

    Source: Rajbhandari et al. 2020, section 5; fp32 masters exist beside fp32 weights as well.
    """
    stage, share, width = layout.zero_stage or 0, -(-params // layout.shard), numbers.width
    optimizer = (1 + _ADAM_MOMENTS) * FP32 * share
    whole = params * (FP32 + (HALF if numbers.precision != "fp32" else 0))
    gradients = whole if stage == 1 else FP32 * share
    return {
        "weights": width * (share if stage == 3 else params),
        "gradients": 0 if layout.offload and stage > 1 else gradients,
        "optimizer": 0 if layout.offload else optimizer,
        "host": optimizer + FP32 * share + (width * (share + largest) if stage < 3 else 0) if layout.offload else 0,
    }


def _zero_buffers(params: int, largest: int, layout: Layout, numbers: Numbers) -> int:
    """DeepSpeed's bucket of gradients, which stage 1 has in fp32 alone, and the weights that stage 3 has gathered.

    Below stage 3, offloading has a buffer of the largest weight's size on the device too.
    """
    bucket = FP32 * min(params, _BUCKET_ELEMENTS)
    if layout.zero_stage == 3:
        return bucket + numbers.width * min(params, _LIVE_ELEMENTS)
    passing = numbers.width * largest if layout.offload else 0
    return passing + (bucket if layout.zero_stage == 2 or numbers.precision == "fp32" else 0)
