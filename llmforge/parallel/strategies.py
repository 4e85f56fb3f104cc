"""Strategies by name: which one, may it run in this world, and the engine that does it."""

from llmforge.config.train import TrainSection
from llmforge.core import log
from llmforge.core.errors import SettingsError
from llmforge.parallel.mesh import degrees_of
from llmforge.parallel.process_group import World, join_world, launched_size
from llmforge.parallel.strategy import Strategy


def choose_strategy(name: str, world_size: int) -> str:
    """The strategy to run: the named one, or for "auto" the cheapest for this number of processes.

    Raises: SettingsError if the named one cannot run on this number of processes.
    """
    if name == "auto":
        chosen = "single" if world_size == 1 else "ddp"
        log.decided("strategy", chosen, "there is one process" if world_size == 1 else f"there are {world_size}")
        return chosen
    if name == "single" and world_size > 1:
        raise SettingsError(f"train.strategy is single, but there are {world_size} processes", "use ddp, or --nproc 1")
    if name != "single" and world_size == 1:
        raise SettingsError(f"train.strategy is {name}, but there is one process", "use single, or --nproc 2 or more")
    return name


def create_strategy(train: TrainSection, *, precision: str, world: World | None = None) -> Strategy:
    """The engine for `train.strategy`, joined to the other processes.

    Args:
        train: the settings.
        precision: "fp32", "bf16" or "fp16" (what "auto" stands for is measured before, see `precision.calibrate`; of
            `train.compile`, see `compile.pays`).
        world: this process among the others; None: join them here.

    Raises: SettingsError before any process group is made if the strategy and the number of processes do not fit.
    """
    name = choose_strategy(train.strategy, world.size if world else launched_size())
    if name.startswith("zero"):
        from llmforge.parallel.zero import Zero

        world = world or join_world()
        return Zero(
            name,
            world,
            precision=precision,
            max_grad_norm=train.max_grad_norm,
            section=train.zero,
            recompute=train.parallel.activation_checkpointing,
        )
    degrees_of(name, world.size if world else launched_size(), train.parallel)
    from llmforge.parallel.torch_native import TorchNative

    world = world or join_world()
    return TorchNative(
        name,
        world,
        precision=precision,
        max_grad_norm=train.max_grad_norm,
        parallel=train.parallel,
        compiled=train.compile is True,
    )
