"""Which precision is faster for this model on this device: measured, not guessed from the processor's name."""

import math
import time
from dataclasses import dataclass
from statistics import median

import torch
import torch.distributed as dist

from llmforge.arch.architecture import Architecture
from llmforge.core import log
from llmforge.model.init import initialise
from llmforge.model.transformer import Transformer
from llmforge.parallel.process_group import World

AUTOCAST: dict[str, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What matrix products are computed in, over fp32 weights."""

_WARM_UP_STEPS = 1
_TIMED_STEPS = 3
_HOPELESS_TIMES = 3
_LONGEST_WARM_UP_S = 5.0
"""A pass that takes longer than so many of the other precision's, and a warm-up besides, is not tried again."""

_MIN_GAIN = 1.1
"""A half precision has to be this many times as fast as fp32 to be taken for its coarser numbers."""


@dataclass(frozen=True)
class Calibration:
    """A measured choice.

    Attributes:
        precision: "fp32", "bf16" or "fp16" (autocast over fp32 weights).
        reason: in words, with the figures.
        seconds: of one forward and backward pass, by precision, the median.
    """

    precision: str
    reason: str
    seconds: dict[str, float]


def calibrate(arch: Architecture, *, micro_batch_sequences: int, world: World) -> Calibration:
    """Time forward and backward passes of this model in fp32 and in bf16 (fp16 on GPUs without), and take the faster.

    Every rank measures and the times are averaged, so all ranks choose alike. A model that one GPU cannot hold whole
    is not measured: it trains in half precision.

    Args:
        arch: the model.
        micro_batch_sequences: sequences of a pass, each of the model's context (count).
        world: this process among the others; the device that counts is its own.
    """
    half = half_precision(world.device)
    try:
        model, tokens_BT = trial(arch, micro_batch_sequences, world.device)
        fp32_s = pass_seconds(model, tokens_BT, "fp32")
        times_s = [fp32_s, pass_seconds(model, tokens_BT, half, beside_s=fp32_s)]
        del model
    except torch.OutOfMemoryError:
        times_s = [math.inf, math.inf]
    forget_trial(world.device)
    fp32_s, half_s = mean_over_ranks(times_s, world)
    calibration = _choose(half, fp32_s, half_s, world.device)
    if world.rank == 0:
        log.decided("precision", calibration.precision, calibration.reason)
    return calibration


def mean_over_ranks(values: list[float], world: World) -> list[float]:
    """The means of what each rank measured, the same on all ranks."""
    if world.size == 1:
        return values
    total = torch.tensor(values, dtype=torch.float64, device=world.device)
    dist.all_reduce(total)
    return [value / world.size for value in total.tolist()]


def half_precision(device: torch.device) -> str:
    """The half precision that a device computes in: bf16, but for GPUs that have none."""
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "fp16"
    return "bf16"


def _choose(half: str, fp32_s: float, half_s: float, device: torch.device) -> Calibration:
    if math.isinf(fp32_s):
        return Calibration(half, f"one {device.type} does not hold the whole model, so that no pass was timed", {})
    precision = half if half_s * _MIN_GAIN < fp32_s else "fp32"
    reason = f"a pass takes {fp32_s:.3g} s in fp32 and {half_s:.3g} s in {half} on this {device.type}"
    return Calibration(precision, reason, {"fp32": fp32_s, half: half_s})


def trial(arch: Architecture, sequences: int, device: torch.device) -> tuple[Transformer, torch.Tensor]:
    """A model of its own to time passes with, and the tokens of a pass, (sequences, context)."""
    with torch.device("meta"):
        model = Transformer(arch)
    model.to_empty(device=device)
    model.tie()
    initialise(model, arch, seed=0)
    return model, torch.zeros(sequences, arch.context, dtype=torch.int64, device=device)


def forget_trial(device: torch.device) -> None:
    """Give back what a trial took of a GPU: its memory is not the training's."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def pass_seconds(model: Transformer, tokens_BT: torch.Tensor, precision: str, beside_s: float = math.inf) -> float:
    """Median seconds of a forward and backward pass, after a warm-up.

    Args:
        model, tokens_BT, precision: what is timed.
        beside_s: what a pass takes in the other precision. A pass that takes many times as long is the last: bf16 on
            a processor without units for it takes 16 times as long, and four passes could take longer than a training.
    """
    times_s: list[float] = []
    dtype = AUTOCAST[precision]
    for _ in range(_WARM_UP_STEPS + _TIMED_STEPS):
        start_s = time.perf_counter()
        with torch.autocast(tokens_BT.device.type, dtype=dtype, enabled=dtype is not None):
            loss = model(tokens_BT, tokens_BT)
        loss.backward()
        if tokens_BT.device.type == "cuda":
            torch.cuda.synchronize(tokens_BT.device)
        times_s.append(time.perf_counter() - start_s)
        model.zero_grad(set_to_none=True)
        if times_s[-1] > _HOPELESS_TIMES * beside_s + _LONGEST_WARM_UP_S:
            break
    return median(times_s[_WARM_UP_STEPS:] or times_s)
