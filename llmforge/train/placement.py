"""Where a training's processes go, decided without torch: the strategy, its degrees, and whether it may run."""

from importlib.util import find_spec

from llmforge.arch.activations import Precision
from llmforge.arch.architecture import Architecture
from llmforge.arch.degrees import Batch, check
from llmforge.arch.memory import Layout, Memory, training_memory
from llmforge.config.parallel import ParallelSection
from llmforge.config.problems import Problem, dotted
from llmforge.config.schema import Settings
from llmforge.config.train import TrainSection
from llmforge.core.errors import SettingsError
from llmforge.parallel.mesh import degrees_of
from llmforge.plan_scaling.placement import precision_of

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
        settings: the run's settings; `plan_scaling.device_memory_bytes` is what "auto" fits a rank into.
        arch: the model.
        world: processes (count).

    Raises: SettingsError with every problem of a named strategy, or with the figures if "auto" finds none that fits.
    """
    name = settings.train.strategy
    if name == "auto":
        return _cheapest(settings, arch, world)
    problems = find_problems(settings, arch, name, world)
    if problems:
        lines = [f"{dotted(one.path)}: {one.what}" + (f"\n  hint: {one.hint}" if one.hint else "") for one in problems]
        raise SettingsError("\n".join([f"{name} cannot run on {world} processes", *lines]))
    return name, layout_of(settings.train, arch, name, world), "train.strategy says so"


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
    if name.startswith("zero") and train.parallel != ParallelSection():
        what = f"its settings are for the torch-native strategies, and {name} reads none of them"
        problems.append(Problem(("train", "parallel"), what, "leave them out, or use --strategy fsdp"))
    batch = Batch(train.global_batch_tokens, train.micro_batch_sequences)
    schedule = "gpipe" if name == "model" else train.parallel.schedule
    sequence_parallel = train.parallel.sequence_parallel
    return problems + check(layout, arch, world, batch, schedule=schedule, sequence_parallel=sequence_parallel)


def _given_degrees(train: TrainSection) -> Layout:
    """The degrees as they stand in the settings, to go on checking where they make no whole."""
    given = train.parallel
    return Layout(given.replicate or 1, given.shard or 1, given.tensor or 1, given.pipeline or 1, micro_batches=2)


def layout_of(train: TrainSection, arch: Architecture, name: str, world: int) -> Layout:
    """How a strategy spreads the run.

    Raises: SettingsError if its name does not allow the degrees that the settings give.
    """
    if name.startswith("zero"):
        return Layout(shard=world, zero_stage=int(name[-1]), offload=train.zero.offload_optimizer)
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
    limit = settings.plan_scaling.device_memory_bytes
    if world == 1:
        return "single", layout_of(settings.train, arch, "single", 1), "there is one process"
    if limit is None:
        reason = f"there are {world} processes, and plan_scaling.device_memory_bytes names no limit"
        return "ddp", layout_of(settings.train, arch, "ddp", world), reason
    rejected: list[tuple[str, str]] = []
    for name in _AUTO if find_spec("deepspeed") else ("ddp", "fsdp"):
        if find_problems(settings, arch, name, world):
            continue
        layout = layout_of(settings.train, arch, name, world)
        needed = memory_of(settings, arch, layout).total
        if needed <= limit:
            because = f"a rank needs {gib(needed)} of {gib(limit)} GiB"
            return name, layout, "; ".join([because, *(f"{other} would need {size}" for other, size in rejected)])
        rejected.append((name, gib(needed)))
    raise SettingsError(
        f"train.strategy is auto, and no strategy fits {world} processes with {gib(limit)} GiB each: "
        + (", ".join(f"{name} needs {size}" for name, size in rejected) or "the batch does not come out even on any"),
        "lower train.micro_batch_sequences, set train.zero.offload_optimizer, take more processes, or name 3d",
    )


def memory_of(settings: Settings, arch: Architecture, layout: Layout) -> Memory:
    """Memory of the fullest rank."""
    return training_memory(arch, settings.train.micro_batch_sequences, layout, planned_precision(settings))


def planned_precision(settings: Settings) -> Precision:
    """The precision as set; what "auto" will measure is taken to be bf16 where a device is named."""
    asked = settings.train.precision
    return precision_of(settings.plan_scaling) if asked == "auto" else asked


def gib(size: float) -> str:
    """Bytes in GiB, three digits."""
    return f"{size / 2**30:,.3g}"
