"""Memory of one rank while training, in closed form: states, activations, loss and buffers, for every layout.

fp32 weights with AdamW; bf16 runs the matrix products under autocast (mesh) or keeps bf16 weights beside fp32
masters (ZeRO). The sum takes gradients and activations as alive together, which is so as soon as gradients
accumulate over more than one forward pass.
"""

from dataclasses import dataclass

from llmforge.arch.activations import BF16, FP32, Precision, activation_bytes, loss_bytes, width_of
from llmforge.arch.architecture import Architecture
from llmforge.arch.params import Weight, list_weights

_ADAM_MOMENTS = 2
# DeepSpeed's default reduce_bucket_size, in elements; a smaller model needs no more than its own size.
_BUCKET_ELEMENTS = 500_000_000
_ROW_SPLIT = ("attention.out", "ffn.down")


@dataclass(frozen=True)
class Layout:
    """How a run is spread over ranks.

    Attributes:
        replicate, shard, tensor, pipeline: degrees; their product is the number of ranks.
        zero_stage: 1, 2 or 3 where DeepSpeed shards the states; None: FSDP does, if `shard` is above 1.
        offload: whether ZeRO keeps optimizer states in host memory.
        micro_batches: forward passes of a step (count); a pipeline's first stage has as many in flight as it has
            stages, if there are that many.
        recompute: whether blocks are computed again in the backward pass instead of kept.
    """

    replicate: int = 1
    shard: int = 1
    tensor: int = 1
    pipeline: int = 1
    zero_stage: int | None = None
    offload: bool = False
    micro_batches: int = 1
    recompute: bool = False

    @property
    def world(self) -> int:
        """Ranks (count)."""
        return self.replicate * self.shard * self.tensor * self.pipeline


@dataclass(frozen=True)
class Memory:
    """Bytes of the fullest rank, by what they hold.

    Attributes:
        weights, gradients, optimizer: this rank's share; casts of weights count as weights.
        activations: what forward passes keep for their backward passes.
        loss: last norm, logits, their logarithms and their gradient.
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
    arch: Architecture, sequences: int, layout: Layout | None = None, precision: Precision = "fp32"
) -> Memory:
    """Memory of the fullest rank.

    Args:
        arch: the model.
        sequences: in one forward pass of a rank (count).
        layout: how the run is spread; None: one process.
        precision: of the matrix products.
    """
    layout = layout or Layout()
    stages = [_stage_memory(arch, sequences, layout, precision, place) for place in sorted({0, layout.pipeline - 1})]
    return max(stages, key=lambda memory: memory.total)


def _stage_memory(arch: Architecture, sequences: int, layout: Layout, precision: Precision, place: int) -> Memory:
    """Memory of a rank of the first or the last pipeline stage."""
    weights = stage_weights(arch, layout.pipeline, place)
    params = _stage_parameters(weights, layout.tensor)
    unit = max(_rank_share(weight, layout.tensor) for weight in weights if weight.role != "matrix")
    unit = max(
        unit, sum(_rank_share(weight, layout.tensor) // weight.copies for weight in weights if weight.copies > 1)
    )
    tokens = sequences * arch.context
    layers = -(-arch.layers // layout.pipeline)
    in_flight = min(layout.pipeline - place, layout.micro_batches)
    kept = activation_bytes(arch, tokens, layers, precision, tensor=layout.tensor, recompute=layout.recompute)
    last = place == layout.pipeline - 1
    return Memory(
        **_states(params, unit, layout, precision),
        activations=int(kept * in_flight),
        loss=int(loss_bytes(arch, tokens, precision, layout.tensor)) if last else 0,
    )


def _stage_parameters(weights: list[Weight], tensor: int) -> int:
    return sum(_rank_share(weight, tensor) for weight in weights)


def rank_parameters(arch: Architecture, layout: Layout) -> int:
    """Parameters of the fullest tensor rank and pipeline stage (count); data ranks may share them further."""
    places = {0, layout.pipeline - 1}
    return max(_stage_parameters(stage_weights(arch, layout.pipeline, place), layout.tensor) for place in places)


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


def _states(params: int, unit: int, layout: Layout, precision: Precision) -> dict[str, int]:
    """Weights, gradients, optimizer states and buffers of a rank that stands for `params` parameters."""
    if layout.zero_stage is not None:
        return _zero_states(params, unit, layout, precision)
    moments = _ADAM_MOMENTS * FP32
    if layout.shard == 1:
        casts = BF16 * params if precision == "bf16" else 0
        return {"weights": FP32 * params + casts, "gradients": FP32 * params, "optimizer": moments * params}
    share = -(-params // layout.shard)
    width = width_of(precision)
    # Two gathered units (this one and the next), one unit's gradients, and what goes into the reduce-scatter.
    return {
        "weights": FP32 * share,
        "gradients": FP32 * share,
        "optimizer": moments * share,
        "buffers": unit * (3 * width + FP32),
    }


def _zero_states(params: int, unit: int, layout: Layout, precision: Precision) -> dict[str, int]:
    """States under DeepSpeed: stage 1 shards the optimizer, 2 the gradients too, 3 the weights too.

    Source: Rajbhandari et al. 2020, section 5; fp32 masters exist beside fp32 weights as well.
    """
    stage, share, width = layout.zero_stage or 0, -(-params // layout.shard), width_of(precision)
    optimizer = (1 + _ADAM_MOMENTS) * FP32 * share
    bucket = min(params, _BUCKET_ELEMENTS) * width
    gathered = 2 * unit * width if stage == 3 else 0
    gradients = width * (params if stage == 1 else share)
    return {
        "weights": width * (share if stage == 3 else params),
        "gradients": 0 if layout.offload and stage > 1 else gradients,
        "optimizer": 0 if layout.offload else optimizer,
        "buffers": gathered + (bucket if stage > 1 else 0),
        "host": optimizer + FP32 * share if layout.offload else 0,
    }


def common_layouts(world: int, heads: int, layers: int, micro_batches: int = 1) -> dict[str, Layout]:
    """The strategies by name, on a number of ranks; those that its degrees do not allow are left out.

    Args:
        world: ranks (count).
        heads, layers: of the model (counts); tensor ranks divide the one, pipeline stages the other.
        micro_batches: forward passes of a step (count).
    """
    if world == 1:
        return {"single": Layout(), "single, recompute": Layout(recompute=True)}
    layouts = {"ddp": Layout(replicate=world), "fsdp": Layout(shard=world)}
    layouts |= {f"zero{stage}": Layout(shard=world, zero_stage=stage) for stage in (1, 2, 3)}
    layouts["zero2, offload"] = Layout(shard=world, zero_stage=2, offload=True)
    layouts["zero3, offload"] = Layout(shard=world, zero_stage=3, offload=True)
    layouts["fsdp, recompute"] = Layout(shard=world, recompute=True)
    half = 2 if world % 2 == 0 else 1
    if heads % world == 0:
        layouts["tensor"] = Layout(tensor=world)
    if layers % world == 0:
        layouts["pipeline"] = Layout(pipeline=world, micro_batches=micro_batches)
    if half > 1 and heads % half == 0 and layers % (world // half) == 0:
        layouts["2d"] = Layout(tensor=half, pipeline=world // half, micro_batches=micro_batches)
    if world % 8 == 0 and heads % 2 == 0 and layers % 2 == 0:
        layouts["3d"] = Layout(shard=world // 4, tensor=2, pipeline=2, micro_batches=micro_batches)
    return layouts
