"""Where a training's processes go, decided without torch: the strategy, its degrees, and whether it may run."""

from collections.abc import Iterator
from importlib.util import find_spec

from llmforge.arch.activations import Precision
from llmforge.arch.architecture import Architecture
from llmforge.arch.degrees import Batch, check
from llmforge.arch.memory import Layout, Memory, training_memory
from llmforge.config.parallel import ParallelSection
from llmforge.config.problems import Problem, dotted
from llmforge.config.schema import Settings
from llmforge.config.train import COMPILED_UNDER, FP16_UNDER_ZERO, TrainSection
from llmforge.config.zero import ZeroSection
from llmforge.core.errors import SettingsError
from llmforge.core.hardware import memory_bytes
from llmforge.core.probe import gpu_memory_bytes, has_nvidia_driver
from llmforge.parallel.mesh import degrees_of
from llmforge.parallel.zero_config import STAGES, zero_config
from llmforge.plan_scaling.placement import names_gpu, precision_of
from llmforge.train.folder import TrainFolder

# From the least to the most that is sent; those that need no degrees of their own.
_AUTO = ("ddp", "zero1", "zero2", "fsdp", "zero3")
# DeepSpeed shows its optimizer flat pieces without names, so that no matrix can be seen whole; Adagrad's groups it
# throws together.
_NOT_UNDER_ZERO = ("muon", "adagrad")


def planned_world(train: TrainSection) -> int:
    """Processes that the settings ask for, over all machines (count)."""
    return train.nodes * (train.nproc or 1)


def choose_layout(settings: Settings, arch: Architecture, world: int) -> tuple[str, Layout, str]:
    """The strategy's name, how it spreads the run, and why.

    Args:
        settings: the run's settings; "auto" fits a rank into `plan_scaling.device_memory_bytes`, or else into what
            this machine has.
        arch: the model.
        world: processes (count).

    Raises: SettingsError with every problem of a named strategy, or with the figures if "auto" finds none that fits.
    """
    name = settings.train.strategy
    if name == "auto":
        begun_with = _begun_with(settings, world)
        if begun_with is None or find_problems(settings, arch, begun_with, world):
            return _cheapest(settings, arch, world)
        return begun_with, layout_of(settings.train, arch, begun_with, world), "this training began with it"
    problems = find_problems(settings, arch, name, world)
    if problems:
        lines = [f"{dotted(one.path)}: {one.what}" + (f"\n  hint: {one.hint}" if one.hint else "") for one in problems]
        on = "one process" if world == 1 else f"{world} processes"
        raise SettingsError("\n".join([f"{name} cannot run on {on}", *lines]))
    return name, layout_of(settings.train, arch, name, world), "train.strategy says so"


def _begun_with(settings: Settings, world: int) -> str | None:
    """The strategy that this training began with on as many processes; None if it is yet to begin."""
    manifest = TrainFolder(settings.run_folder).manifest()
    begun = manifest.execution if manifest is not None else {}
    return begun.get("strategy") if begun.get("processes") == world else None


def find_problems(settings: Settings, arch: Architecture, name: str, world: int) -> list[Problem]:
    """Every reason why a strategy cannot run on a number of processes."""
    train = settings.train
    if (name == "single") != (world == 1):
        what = f"it is {name}, but there {'is one process' if world == 1 else f'are {world} processes'}"
        hint = "use --strategy single, or --nproc 2 or more" if world == 1 else "use --strategy auto, or --nproc 1"
        return [Problem(("train", "strategy"), what, hint)]
    problems: list[Problem] = []
    try:
        layout = layout_of(train, arch, name, world)
    except SettingsError as error:
        problems.append(Problem(("train", "parallel"), error.what, error.hint))
        layout = _given_degrees(train)
        world = layout.world
    if name.startswith("zero") and train.optimizer.name in _NOT_UNDER_ZERO:
        what = f"{train.optimizer.name} does not work on DeepSpeed's flat pieces of the weights"
        problems.append(Problem(("train", "optimizer", "name"), what, "use --strategy fsdp or ddp, or adamw"))
    if name.startswith("zero") and train.precision == "fp16":
        problems.append(Problem(("train", "precision"), f"fp16 does not work under {name}", FP16_UNDER_ZERO))
    if train.compile is True and name not in COMPILED_UNDER:
        what = f"blocks are not compiled under {name}, where collectives run inside them"
        problems.append(Problem(("train", "compile"), what, "set it to auto or false, or use ddp or fsdp"))
    problems += _unread_sections(train, name)
    batch = Batch(train.global_batch_tokens, train.micro_batch_sequences)
    schedule = "gpipe" if name == "model" else train.parallel.schedule
    sequence_parallel = train.parallel.sequence_parallel
    return problems + check(layout, arch, world, batch, schedule=schedule, sequence_parallel=sequence_parallel)


def _unread_sections(train: TrainSection, name: str) -> Iterator[Problem]:
    """Settings of the other engine, which would do nothing; and what DeepSpeed's own do not allow."""
    if not name.startswith("zero"):
        if train.zero != ZeroSection():
            what = f"its settings are for DeepSpeed, and {name} reads none of them"
            yield Problem(("train", "zero"), what, "leave them out, or use --strategy zero2")
        return
    read = ParallelSection(activation_checkpointing=train.parallel.activation_checkpointing)
    if train.parallel != read:
        what = f"but for activation_checkpointing, its settings are for the torch-native strategies; {name} reads none"
        yield Problem(("train", "parallel"), what, "leave them out, or use --strategy fsdp")
    if name == "zero3" and train.parallel.activation_checkpointing == "selective":
        what = "selective does not go with zero3: from the second step on, gradients were seen to be off by 2e-3"
        yield Problem(("train", "parallel", "activation_checkpointing"), what, "set it to full, or use zero2 or fsdp")
    try:
        zero_config(train.zero, STAGES[name], precision="fp32", num_params=1)
    except SettingsError as error:
        yield Problem(("train", "zero"), error.what, error.hint)


def _given_degrees(train: TrainSection) -> Layout:
    """The degrees as they stand in the settings, to go on checking where they make no whole."""
    given = train.parallel
    return Layout(given.replicate or 1, given.shard or 1, given.tensor or 1, given.pipeline or 1, micro_batches=2)


def layout_of(train: TrainSection, arch: Architecture, name: str, world: int) -> Layout:
    """How a strategy spreads the run.

    Raises: SettingsError if its name does not allow the degrees that the settings give.
    """
    if name.startswith("zero"):
        kept = train.parallel.activation_checkpointing
        return Layout(shard=world, zero_stage=STAGES[name], offload=train.zero.offload_optimizer, recompute=kept)
    degrees = degrees_of(name, world, train.parallel)
    return Layout(
        degrees.replicate,
        degrees.shard,
        degrees.tensor,
        degrees.pipeline,
        micro_batches=1 if name == "model" else max(1, accumulation(train, arch, degrees.data)),
        recompute=train.parallel.activation_checkpointing,
        sequence_parallel=train.parallel.sequence_parallel,
        vocabulary_parallel_loss=train.parallel.vocabulary_parallel_loss,
    )


def accumulation(train: TrainSection, arch: Architecture, data_world: int) -> int:
    """Forward passes of a rank in one step (count), rounded down."""
    return train.global_batch_tokens // (arch.context * train.micro_batch_sequences * data_world)


def _cheapest(settings: Settings, arch: Architecture, world: int) -> tuple[str, Layout, str]:
    """What "auto" stands for."""
    if world == 1:
        return "single", layout_of(settings.train, arch, "single", 1), "there is one process"
    limit, whose = _rank_memory(settings, world)
    if limit is None:
        reason = f"there are {world} processes, and plan_scaling.device_memory_bytes names no limit"
        return "ddp", layout_of(settings.train, arch, "ddp", world), reason
    names = _AUTO if find_spec("deepspeed") else ("ddp", "fsdp")
    layouts = {
        name: layout_of(settings.train, arch, name, world)
        for name in names
        if not find_problems(settings, arch, name, world)
    }
    needed = {name: memory_of(settings, arch, layout).total for name, layout in layouts.items()}
    shown, room = {name: gib(size) for name, size in needed.items()}, f"{gib(limit)} GiB ({whose})"
    if (fitting := next((name for name in layouts if needed[name] <= limit), None)) is not None:
        rejected = [f"{name} would need {shown[name]}" for name in list(layouts)[: list(layouts).index(fitting)]]
        return fitting, layouts[fitting], "; ".join([f"a rank needs {shown[fitting]} of {room}", *rejected])
    if layouts and settings.plan_scaling.device_memory_bytes is None:  # it may be meant for another machine
        least = min(layouts, key=lambda name: needed[name])
        reason = f"it needs least, {shown[least]} GiB a rank, though more than {room}"
        return least, layouts[least], f"{reason}; plan_scaling.device says what it will run on"
    raise SettingsError(
        f"train.strategy is auto, and no strategy fits {world} processes with {room} each: "
        + (", ".join(f"{name} needs {size}" for name, size in shown.items()) or "the batch is uneven on all of them"),
        "lower train.micro_batch_sequences, set train.zero.offload_optimizer, take more processes, or name 3d",
    )


def _rank_memory(settings: Settings, world: int) -> tuple[int | None, str]:
    """Memory that a rank may fill (bytes), and whose it is; None where it is not known."""
    if (given := settings.plan_scaling.device_memory_bytes) is not None:
        return given, settings.plan_scaling.device or "plan_scaling.device_memory_bytes"
    if settings.train.nodes > 1:
        return None, ""
    if has_nvidia_driver():
        return gpu_memory_bytes(), "this machine's GPU"
    return memory_bytes() // world, f"this machine's memory, shared by {world} processes"


def memory_of(settings: Settings, arch: Architecture, layout: Layout) -> Memory:
    """Memory of the fullest rank."""
    sequences, precision = settings.train.micro_batch_sequences, planned_precision(settings)
    gpu = names_gpu(settings.plan_scaling) or has_nvidia_driver()
    return training_memory(arch, sequences, layout, precision, gpu=gpu)


def planned_precision(settings: Settings) -> Precision:
    """The precision as set; what "auto" will measure is taken to be bf16 where a device is named."""
    asked = settings.train.precision
    return precision_of(settings.plan_scaling) if asked == "auto" else asked


def gib(size: float) -> str:
    """Bytes in GiB, three digits."""
    return f"{size / 2**30:,.3g}"
