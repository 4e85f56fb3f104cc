"""torch.compile for a model's blocks and loss: whether it pays for a training is measured, compiling itself included.

Blocks are compiled and not the model: they share their code, so that one compilation serves all of them, and sharding
and checkpointing stay around them.
"""

import math
import shutil
import time
from typing import Any

import torch

from llmforge.arch.architecture import Architecture
from llmforge.core import log
from llmforge.core.errors import MachineError
from llmforge.model.transformer import Transformer
from llmforge.parallel.precision import forget_trial, mean_over_ranks, pass_seconds, trial
from llmforge.parallel.process_group import World

_MIN_TRAINING_S = 600.0
"""In a shorter training nothing is tried: compiling takes a minute and more."""
_MIN_GAIN = 1.05


def require_compiler(device: torch.device) -> None:
    """See that code can be compiled.

    Raises: MachineError if the compiler is missing that a CPU's code needs.
    """
    if device.type == "cpu" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise MachineError("train.compile is on, and there is no C++ compiler", "install g++, or set it to false")


def compile_blocks(model: Transformer) -> None:
    """Let every block, and the loss, run compiled from its first pass on; parameter names stay what they are.

    Kernels are chosen by rule and not by timing, so that a resumed training computes with the same ones.
    """
    from torch._inductor import config

    options: dict[str, Any] = {"deterministic": True} if hasattr(config, "deterministic") else {}
    for block in model.blocks.values():
        block.compile(dynamic=False, options=options)
    model.cross_entropy = torch.compile(model.cross_entropy, dynamic=False, options=options)


def pays(arch: Architecture, precision: str, *, micro_batch_sequences: int, num_passes: int, world: World) -> bool:
    """Whether compiling saves more time over the training than it takes; measured on all ranks, the same on all.

    Args:
        arch, precision: the model, and what it computes in.
        micro_batch_sequences: sequences of a pass (count).
        num_passes: forward and backward passes of a rank in the whole training (count).
        world: this process among the others.
    """
    eager_s, compiled_s, compiling_s = _measure(arch, precision, micro_batch_sequences, num_passes, world)
    chosen = (compiled_s * num_passes + compiling_s) * _MIN_GAIN < eager_s * num_passes
    if world.rank == 0:
        log.decided("compile", str(chosen).lower(), _reason(eager_s, compiled_s, compiling_s, num_passes))
    return chosen


def _measure(
    arch: Architecture, precision: str, sequences: int, num_passes: int, world: World
) -> tuple[float, float, float]:
    """Seconds of a pass as it is, of a compiled one, and of compiling; inf is what was not tried or did not work."""
    try:
        model, tokens_BT = trial(arch, sequences, world.device)
        eager_s = pass_seconds(model, tokens_BT, precision)
    except torch.OutOfMemoryError:
        eager_s = math.inf
    (eager_s,) = mean_over_ranks([eager_s], world)
    if not _MIN_TRAINING_S <= eager_s * num_passes < math.inf:
        return eager_s, math.inf, math.inf
    start_s = time.perf_counter()
    compiled_s = compiling_s = math.inf
    try:
        require_compiler(world.device)
        compile_blocks(model)
        compiled_s = pass_seconds(model, tokens_BT, precision)
        compiling_s = time.perf_counter() - start_s
    except (MachineError, RuntimeError) as error:  # the compiler's own errors are RuntimeErrors
        log.warn(f"rank {world.rank}: blocks could not be compiled: {str(error).splitlines()[0]}")
    forget_trial(world.device)
    compiled_s, compiling_s = mean_over_ranks([compiled_s, compiling_s], world)
    return eager_s, compiled_s, compiling_s


def _reason(eager_s: float, compiled_s: float, compiling_s: float, num_passes: int) -> str:
    if math.isinf(eager_s):
        return "one device does not hold the whole model, so that no pass was timed"
    if eager_s * num_passes < _MIN_TRAINING_S:
        return f"{num_passes:,} passes of {eager_s:.3g} s are over before it would pay"
    if math.isinf(compiled_s):
        return "blocks could not be compiled here"
    return f"a pass takes {compiled_s:.3g} s compiled and {eager_s:.3g} s not, and compiling took {compiling_s:.0f} s"
