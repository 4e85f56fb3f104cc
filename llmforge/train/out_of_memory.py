"""Out of memory: what the memory was planned for, and three settings that would take less."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from llmforge.arch.architecture import Architecture
from llmforge.arch.memory import Memory
from llmforge.config.schema import Settings
from llmforge.core.errors import MachineError
from llmforge.parallel.process_group import World
from llmforge.train.placement import choose_layout, find_problems, gib, layout_of, memory_of

_PARTS = ("weights", "gradients", "optimizer", "activations", "loss", "buffers")
_NUM_SHOWN = 3


@contextmanager
def explains_out_of_memory(settings: Settings, arch: Architecture, world: World) -> Iterator[None]:
    """Turn an allocation that failed into a MachineError with figures and what to change."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise out_of_memory(settings, arch, world, str(error).splitlines()[0]) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was not there; on a CPU torch says so in a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def out_of_memory(settings: Settings, arch: Architecture, world: World, seen: str) -> MachineError:
    """The error for a training that did not fit.

    Args:
        settings, arch, world: what was trained, and by how many processes.
        seen: what the library said.
    """
    name, layout, _ = choose_layout(settings, arch, world.size)
    memory = memory_of(settings, arch, layout)
    parts = " + ".join(f"{part} {gib(size)}" for part in _PARTS if (size := getattr(memory, part)))
    cheaper = cheaper_settings(settings, arch, name, world.size)
    hint = "; ".join(f"{words} needs {gib(found.total)} GiB" for words, found in cheaper[:_NUM_SHOWN])
    return MachineError(
        f"out of memory: {seen}. {name} plans {gib(memory.total)} GiB a rank = {parts}",
        hint or "take a smaller model, more processes, or a device with more memory",
    )


def cheaper_settings(settings: Settings, arch: Architecture, name: str, world: int) -> list[tuple[str, Memory]]:
    """Changes that take less memory of a rank, the one that saves least first, each with what it then needs.

    Args:
        settings, arch: what was trained.
        name: the strategy.
        world: processes (count).
    """
    train, parallel = settings.train, settings.train.parallel
    half = train.model_copy(update={"micro_batch_sequences": max(1, train.micro_batch_sequences // 2)})
    again = parallel.model_copy(update={"activation_checkpointing": "full"})
    recomputing = train.model_copy(update={"parallel": again})
    shorter = replace(arch, context=arch.context // 2)
    variants = [
        (f"train.micro_batch_sequences={half.micro_batch_sequences}", half, arch, name),
        ("train.parallel.activation_checkpointing=full", recomputing, arch, name),
        ("train.strategy=fsdp", train, arch, "fsdp" if world > 1 else name),
        ("train.strategy=zero3", train, arch, "zero3" if world > 1 else name),
        (f"model.context={shorter.context}", train, shorter, name),
    ]
    now = memory_of(settings, arch, layout_of(train, arch, name, world)).total
    found = []
    for words, changed, model, strategy in variants:
        other = settings.model_copy(update={"train": changed})
        if not find_problems(other, model, strategy, world):
            memory = memory_of(other, model, layout_of(changed, model, strategy, world))
            found.append((words, memory))
    return sorted((one for one in found if one[1].total < now), key=lambda one: -one[1].total)
