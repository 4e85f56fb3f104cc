"""Which small runs to train, so that tokens per parameter at the target are known best for a share of its compute.

A run's loss tells about the law's five parameters as its gradient says; the runs are taken one after another, each the
one that narrows the interval most, set against the root of its compute (by compute alone, tiny runs always win), until
none that is affordable takes two per cent off the variance.

Source: the c-optimality of optimal experimental design (Pukelsheim 2006, chapter 2), taken greedily.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmforge.arch.params import count_parameters
from llmforge.config.model import ModelSection
from llmforge.core.errors import SettingsError
from llmforge.plan_scaling.batch import batch_for, learning_rate_for, micro_batch_for
from llmforge.plan_scaling.laws import TOKENS_PER_PARAM, LossLaw, frontier
from llmforge.plan_scaling.runs_table import MIN_RUNS
from llmforge.plan_scaling.shapes import Shape, nearest_shape
from llmforge.plan_scaling.solver import Array

# What published fits scatter by, before any run: logs of A, B and E, and the two exponents.
_PRIOR_SD = (1.0, 1.0, 0.2, 0.05, 0.05)
# Two runs that differ in their seed only differ by about this much (log loss).
_NOISE = 0.005
_RATIOS = (5, 10, 20, 40, 80, 160)
_NUM_SIZES = 8
_MAX_RUN_SHARE = 0.25
_MIN_GAIN = 0.02
# Half the width of an interval from the 10th to the 90th percentile, in standard deviations.
_TENTH = 1.2816


@dataclass(frozen=True)
class SmallRun:
    """A run to train: a legal shape and its tokens."""

    shape: Shape
    tokens: int

    @property
    def flops(self) -> float:
        """Training FLOPs by the rule of 6ND."""
        return 6.0 * self.shape.params * self.tokens

    @property
    def settings(self) -> dict[str, int | float]:
        """What makes this run, with the batch and the rate that fit it."""
        arch = self.shape.arch
        lr = learning_rate_for(count_parameters(arch).without_embeddings, self.tokens)
        batch = batch_for(self.tokens, arch.context)
        sizes = {"layers": arch.layers, "dim": arch.dim, "heads": arch.heads, "context": arch.context}
        return {
            **{f"model.{name}": value for name, value in sizes.items()},
            "train.tokens": self.tokens,
            "train.global_batch_tokens": batch,
            "train.micro_batch_sequences": micro_batch_for(batch, arch.context),
            "train.optimizer.lr": lr,
        }


@dataclass(frozen=True)
class Design:
    """The runs, their FLOPs together, and how well they tell tokens per parameter at the target (10 % to 90 %)."""

    runs: tuple[SmallRun, ...]
    target_flops: float
    flops: float
    tokens_per_param: tuple[float, float]


def design_runs(
    family: ModelSection, vocab_size: int, target_flops: float, share: float, law: LossLaw, max_tokens: float = math.inf
) -> Design:
    """Choose small runs.

    Args:
        family: preset and context of their models.
        vocab_size: entries of the tokenizer (count).
        target_flops: the budget whose best size is asked for.
        share: of it that the small runs may cost together, 0 to 1.
        law: the best guess so far.
        max_tokens: unique tokens at hand (count).

    Raises: SettingsError if fewer than 8 runs are affordable, which cannot be fitted.
    """
    budget = share * target_flops
    open_runs = _candidates(family, vocab_size, _MAX_RUN_SHARE * budget, max_tokens)
    aim = _aim(law, target_flops)
    information = np.diag(1 / np.array(_PRIOR_SD) ** 2)
    chosen: list[SmallRun] = []
    while (best := _next(open_runs, information, aim, law, budget - sum(run.flops for run in chosen))) is not None:
        chosen.append(best)
        open_runs.remove(best)
        information = information + _told(best, law)
    if len(chosen) < MIN_RUNS:
        raise SettingsError(
            f"--design {share:g}: {budget:.3g} FLOPs pay for {len(chosen)} small runs; a fit needs {MIN_RUNS}",
            "give it a larger share, or plan for a larger budget",
        )
    runs = tuple(sorted(chosen, key=lambda run: (run.shape.params, run.tokens)))
    ratio = frontier(law, "").tokens_per_param(target_flops)
    spread = math.exp(_TENTH * math.sqrt(_variance(information, aim)))
    return Design(runs, target_flops, sum(run.flops for run in runs), (ratio / spread, ratio * spread))


def _candidates(family: ModelSection, vocab_size: int, max_flops: float, max_tokens: float) -> list[SmallRun]:
    """Sizes from a fiftieth of the largest that is affordable, each with few to many tokens."""
    largest = min(math.sqrt(max_flops / (6 * _RATIOS[0])), max_tokens / TOKENS_PER_PARAM)
    shapes = [nearest_shape(family, vocab_size, size) for size in np.geomspace(largest / 50, largest, _NUM_SIZES)]
    runs = [
        SmallRun(shape, ratio * shape.params) for shape in {s.params: s for s in shapes}.values() for ratio in _RATIOS
    ]
    return [run for run in runs if run.flops <= max_flops and run.tokens <= max_tokens]


def _next(
    open_runs: Sequence[SmallRun], information: Array, aim: Array, law: LossLaw, left_flops: float
) -> SmallRun | None:
    """The affordable run that narrows the interval most for the root of its compute; None if none is worth it."""
    now = _variance(information, aim)
    gains = {
        run: 1 - _variance(information + _told(run, law), aim) / now for run in open_runs if run.flops <= left_flops
    }
    worth = [run for run, gain in gains.items() if gain >= _MIN_GAIN]
    return max(worth, key=lambda run: gains[run] / math.sqrt(run.flops), default=None)


def _told(run: SmallRun, law: LossLaw) -> Array:
    """What one run tells about the logs of A, B and E and the exponents: its Fisher information."""
    size, data = law.A * run.shape.params**-law.alpha, law.B * run.tokens**-law.beta
    slope = [size, data, law.E, -size * math.log(run.shape.params), -data * math.log(run.tokens)]
    gradient = np.array(slope) / (size + data + law.E) / _NOISE
    return np.outer(gradient, gradient)


def _aim(law: LossLaw, flops: float) -> Array:
    """How log tokens per parameter at a budget change with the law's parameters, by central differences."""

    def log_ratio(theta: Array) -> float:
        a, b, e, alpha, beta = (float(value) for value in theta)
        optimum = frontier(LossLaw("", math.exp(e), math.exp(a), math.exp(b), alpha, beta), "")
        return math.log(optimum.tokens_per_param(flops))

    centre = np.array([math.log(law.A), math.log(law.B), math.log(law.E), law.alpha, law.beta])
    steps = 1e-5 * np.eye(5)
    return np.array([(log_ratio(centre + step) - log_ratio(centre - step)) / 2e-5 for step in steps])


def _variance(information: Array, aim: Array) -> float:
    return float(aim @ np.linalg.solve(information, aim))
