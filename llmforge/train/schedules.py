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
    Returns: a rate above 0 in the warm-up, the peak after it, and the schedule's last rate in the last step.
    """
    num_warmup = round(schedule.warmup_fraction * num_steps)
    if step < num_warmup:
        return peak_lr * (step + 1) / (num_warmup + 1)
    return peak_lr * _SHAPES[schedule.name](step, num_warmup, num_steps, schedule)


def _constant(step: int, num_warmup: int, num_steps: int, schedule: ScheduleSection) -> float:
    return 1.0


def _linear(step: int, num_warmup: int, num_steps: int, schedule: ScheduleSection) -> float:
    return _down(_share(step, num_warmup, num_steps), schedule)


def _cosine(step: int, num_warmup: int, num_steps: int, schedule: ScheduleSection) -> float:
    """Source: Loshchilov and Hutter, SGDR (2017), one cycle."""
    return _down((1.0 - math.cos(math.pi * _share(step, num_warmup, num_steps))) / 2.0, schedule)


def _wsd(step: int, num_warmup: int, num_steps: int, schedule: ScheduleSection) -> float:
    """Source: Hu et al., MiniCPM (2024), section 4, with a linear decay (Hägele et al. 2024)."""
    begin = max(num_warmup, num_steps - 1 - round(schedule.decay_fraction * num_steps))
    return _down(_share(step, begin, num_steps), schedule)


def _inverse_sqrt(step: int, num_warmup: int, num_steps: int, schedule: ScheduleSection) -> float:
    """Source: Vaswani et al. (2017), section 5.3: from the warm-up's end on, by one over the root of the steps."""
    return math.sqrt((num_warmup + 1) / (step + 1))


def _share(step: int, begin: int, num_steps: int) -> float:
    """How much of the way from step `begin` to the last one is done (0 to 1)."""
    return min(1.0, max(0.0, (step - begin) / max(1, num_steps - 1 - begin)))


def _down(share: float, schedule: ScheduleSection) -> float:
    """From 1 to the final share of the peak."""
    return 1.0 - share * (1.0 - schedule.final_lr_fraction)


_SHAPES = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "wsd": _wsd,
    "inverse_sqrt": _inverse_sqrt,
}
