"""Spikes: a step whose loss or gradient norm stands far above those before it, and what is done with it.

The decision depends on the losses and norms of the steps before, which every checkpoint holds, so that a resumed run
decides as an undisturbed one.
"""

from collections.abc import Sequence
from statistics import fmean, pstdev

from llmforge.config.train import SpikeSection
from llmforge.parallel.strategy import StepResult

Recent = tuple[tuple[float, float], ...]
"""Loss and gradient norm of the last steps, the oldest first; spikes too, or a lasting change would stay one."""


def find_spike(section: SpikeSection, recent: Recent, result: StepResult) -> str | None:
    """Why a step is a spike; None if it is none, or nobody asks, or too few steps were taken to tell.

    Args:
        section: how far is too far, and over how many steps.
        recent: the steps before.
        result: the step's global loss and gradient norm, which are finite.

    Source: the rule of OLMo-core's skipping optimizers: mean and standard deviation of the last 128 steps, once half
        of them are there.
    """
    if section.policy == "none" or 2 * len(recent) < section.window_steps:
        return None
    losses, norms = zip(*recent, strict=True)
    for name, value, before in (("loss", result.loss, losses), ("gradient norm", result.grad_norm, norms)):
        limit = fmean(before) + section.deviations * pstdev(before)
        if value > limit:
            return f"{name} {value:.4g} is over {limit:.4g}, the mean of the last {len(before)} steps " + (
                f"({fmean(before):.4g}) and {section.deviations:g} standard deviations"
            )
    return None


def remember(section: SpikeSection, recent: Recent, result: StepResult) -> Recent:
    """The last steps, with this one; nothing is kept where nobody asks for spikes."""
    if section.policy == "none":
        return ()
    return (*recent, (result.loss, result.grad_norm))[-section.window_steps :]


def to_recent(pairs: Sequence[Sequence[float]]) -> Recent:
    """What a checkpoint's JSON holds."""
    return tuple((loss, norm) for loss, norm in pairs)
