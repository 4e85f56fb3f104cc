"""Learning rates as pure functions of the step, so that a resumed run needs no state of a schedule."""

import math

from llmforge.config.train import ScheduleSection


def learning_rate(step: int, num_steps: int, peak_lr: float, schedule: ScheduleSection) -> float:
    """The learning rate of a step.

    Args:
        step: steps taken before this one (count).
        num_steps: steps of the whole run (count); a run that is made longer follows the longer curve from there on.
        peak_lr: the rate at the end of the warm-up.
        schedule: its name, and shares of the steps and of the peak (0 to 1).
    Returns: a rate above 0 in the warm-up, the peak after it, and the final rate in the last step.
    Source: Loshchilov and Hutter, SGDR (2017), one cycle, with a linear warm-up.
    """
    num_warmup = round(schedule.warmup_fraction * num_steps)
    if step < num_warmup:
        return peak_lr * (step + 1) / (num_warmup + 1)
    done = min(1.0, (step - num_warmup) / max(1, num_steps - 1 - num_warmup))
    return peak_lr * _SHAPES[schedule.name](done, schedule.final_lr_fraction)


def _cosine(done: float, final: float) -> float:
    """Share of the peak after the share `done` of the decay."""
    return final + (1.0 - final) * (1.0 + math.cos(math.pi * done)) / 2.0


_SHAPES = {"cosine": _cosine}
