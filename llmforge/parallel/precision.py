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

_WARM_UP_STEPS = 1
_TIMED_STEPS = 3
_MIN_GAIN = 1.1
"""bf16 has to be this many times as fast as fp32 to be taken for its coarser numbers."""


@dataclass(frozen=True)
class Calibration:
    """A measured choice.

    Attributes:
        precision: "fp32" or "bf16" (autocast over fp32 weights).
        reason: in words, with the figures.
        seconds: of one forward and backward pass, by precision, the median.
    """

    precision: str
    reason: str
    seconds: dict[str, float]


def calibrate(arch: Architecture, *, micro_batch_sequences: int, world: World) -> Calibration:
    """Time forward and backward passes of this model in fp32 and in bf16, and take the faster.

    Every rank measures and the times are averaged, so all ranks choose alike. A model that one GPU cannot hold whole
    is not measured: it trains in bf16.

    Args:
        arch: the model.
        micro_batch_sequences: sequences of a pass, each of the model's context (count).
        world: this process among the others; the device that counts is its own.
    """
    try:
        times_s = torch.tensor(_times_s(arch, micro_batch_sequences, world.device), dtype=torch.float64)
    except torch.OutOfMemoryError:
        times_s = torch.full((2,), math.inf, dtype=torch.float64)
    if world.device.type == "cuda":  # what was measured here is not the training's
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(world.device)
    if world.size > 1:
        times_s = times_s.to(world.device)
        dist.all_reduce(times_s)
    fp32_s, bf16_s = (times_s / world.size).tolist()
    calibration = _choose(fp32_s, bf16_s, world.device)
    if world.rank == 0:
        log.decided("precision", calibration.precision, calibration.reason)
    return calibration


def _choose(fp32_s: float, bf16_s: float, device: torch.device) -> Calibration:
    if math.isinf(fp32_s):
        return Calibration("bf16", f"one {device.type} does not hold the whole model, so that no pass was timed", {})
    precision = "bf16" if bf16_s * _MIN_GAIN < fp32_s else "fp32"
    reason = f"a pass takes {fp32_s:.3g} s in fp32 and {bf16_s:.3g} s in bf16 on this {device.type}"
    return Calibration(precision, reason, {"fp32": fp32_s, "bf16": bf16_s})


def _times_s(arch: Architecture, sequences: int, device: torch.device) -> list[float]:
    """Seconds of a pass in fp32 and in bf16."""
    with torch.device("meta"):
        model = Transformer(arch)
    model.to_empty(device=device)
    model.tie()
    initialise(model, arch, seed=0)
    tokens_BT = torch.zeros(sequences, arch.context, dtype=torch.int64, device=device)
    return [_pass_seconds(model, tokens_BT, bf16=bf16) for bf16 in (False, True)]


def _pass_seconds(model: Transformer, tokens_BT: torch.Tensor, *, bf16: bool) -> float:
    """Median time of a forward and backward pass, after a warm-up."""
    times_s = []
    for _ in range(_WARM_UP_STEPS + _TIMED_STEPS):
        start_s = time.perf_counter()
        with torch.autocast(tokens_BT.device.type, dtype=torch.bfloat16, enabled=bf16):
            loss = model(tokens_BT, tokens_BT)
        loss.backward()
        loss.item()  # waits for the device
        times_s.append(time.perf_counter() - start_s)
        model.zero_grad(set_to_none=True)
    return median(times_s[_WARM_UP_STEPS:])
