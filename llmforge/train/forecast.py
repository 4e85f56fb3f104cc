"""What --dry-run says of a training: model, batch, where it runs, memory, messages, and a pipeline's waiting."""

from llmforge.arch.architecture import Architecture
from llmforge.arch.communication import bubble_share, step_communication
from llmforge.arch.degrees import TWO_CHUNKS
from llmforge.arch.flops import flops_per_token
from llmforge.arch.memory import Layout, Memory
from llmforge.arch.params import count_parameters
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.train.placement import accumulation, choose_layout, gib, memory_of, planned_precision, planned_world
from llmforge.train.plan import CHECKPOINT_BYTES_PER_PARAM, batch_shape, plan_horizon, resolve_model

_MEMORY = ("weights", "gradients", "optimizer", "activations", "loss", "buffers")


def plan_training(settings: Settings) -> list[str]:
    """What --dry-run says, as far as the earlier stages allow.

    Raises: SettingsError with every problem if the training cannot run on the processes that the settings ask for.
    """
    arch = resolve_model(settings)
    count = count_parameters(arch)
    world = planned_world(settings.train)
    name, layout, reason = choose_layout(settings, arch, world)
    shape = batch_shape(settings.train, arch.context, data_world=layout.replicate * layout.shard)
    lines = [
        f"model  {settings.model.preset}: {arch.layers} layers, width {arch.dim}, {arch.heads} heads, context "
        f"{arch.context}, vocabulary {arch.vocab_size:,}; {count.total:,} parameters",
        f"spread {_degrees(layout, name)} on {world} process{'es' if world > 1 else ''}, because {reason}",
        f"batch  {settings.train.global_batch_tokens:,} tokens = {shape.micro_sequences} sequences x {arch.context} x "
        f"accumulation {shape.accumulation} x {shape.data_world} data ranks",
        *_forecast(settings, arch, layout),
        f"disk   {2 * CHECKPOINT_BYTES_PER_PARAM * count.total / 1e6:,.1f} MB for two checkpoints",
    ]
    try:
        horizon = plan_horizon(settings, arch)
    except InputError as error:
        return [*lines, f"tokens auto: {error.what}"]
    flops = flops_per_token(arch).six_n * horizon.num_steps * settings.train.global_batch_tokens
    return [*lines, f"tokens {horizon.tokens:,} in {horizon.num_steps:,} steps, {flops:.3g} FLOPs: {horizon.reason}"]


def _degrees(layout: Layout, name: str) -> str:
    degrees = {axis: getattr(layout, axis) for axis in ("replicate", "shard", "tensor", "pipeline")}
    shown = " x ".join(f"{axis} {degree}" for axis, degree in degrees.items() if degree > 1)
    return f"{name} ({shown})" if shown else name


def _forecast(settings: Settings, arch: Architecture, layout: Layout) -> list[str]:
    """A line each for memory, messages and the bubble."""
    lines = [_memory(memory_of(settings, arch, layout), settings.plan_scaling.device_memory_bytes)]
    if layout.world > 1:
        lines.append(_messages(settings, arch, layout))
    if layout.pipeline > 1:
        lines.append(_bubble(settings, layout))
    return lines


def _memory(memory: Memory, limit: int | None) -> str:
    parts = " + ".join(f"{part} {gib(getattr(memory, part))}" for part in _MEMORY if getattr(memory, part))
    fits = ""
    if limit is not None:
        fits = f"; {'fits' if memory.total <= limit else 'DOES NOT FIT'} the device's {gib(limit)} GiB"
    host = f"; beside it {gib(memory.host)} GiB of host memory" if memory.host else ""
    return f"memory {gib(memory.total)} GiB a rank = {parts}{fits}{host}"


def _messages(settings: Settings, arch: Architecture, layout: Layout) -> str:
    train = settings.train
    passes = accumulation(train, arch, layout.replicate * layout.shard)
    precision = planned_precision(settings)
    sent = step_communication(arch, train.micro_batch_sequences, layout, precision, accumulation=passes)
    kinds = {"all-reduce": sent.all_reduce, "all-gather": sent.all_gather}
    kinds |= {"reduce-scatter": sent.reduce_scatter, "p2p": sent.p2p}
    shown = " + ".join(f"{kind} {gib(size)}" for kind, size in kinds.items() if size)
    return f"sends  {gib(sent.total)} GiB a step and rank = {shown}"


def _bubble(settings: Settings, layout: Layout) -> str:
    # Zero bubble waits less than this: gradients of weights fill a part of what interleaved 1F1B leaves.
    two_chunks = layout.micro_batches > 1 and settings.train.parallel.schedule in TWO_CHUNKS
    share = bubble_share(layout.pipeline, layout.micro_batches, 2 if two_chunks else 1)
    return f"bubble {100 * share:.1f} % of the computing time, with {layout.pipeline} stages" + (
        f" and {layout.micro_batches} micro-batches" if layout.micro_batches > 1 else ", one at work at a time"
    )
