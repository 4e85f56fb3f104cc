"""IsoFLOP profiles: the best size at each budget by a parabola, and the power law through them, as a cross-check.

The parabola is biased where the two exponents differ or the sizes are not centred on the best one, so that this
checks a fit and does not replace it.

Source: Hoffmann et al. 2022, section 3.2 (approach 2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llmforge.plan_scaling.runs_table import Run

# Runs whose compute differs by less than this count as one budget.
_SAME_BUDGET = 1.15
_MIN_SIZES = 4


@dataclass(frozen=True)
class Profile:
    """The runs of one budget: `params` is the best size, null where the losses show no minimum between the sizes."""

    flops: float
    num_runs: int
    params: float | None


@dataclass(frozen=True)
class IsoFlops:
    """All profiles, and the law through their minima: N = coefficient x C^exponent.

    Null: the law with fewer than two minima at different budgets.
    """

    profiles: tuple[Profile, ...]
    exponent: float | None
    coefficient: float | None

    def tokens_per_param(self, flops: float) -> float | None:
        """Tokens per parameter at a budget; None without a law."""
        if self.exponent is None or self.coefficient is None:
            return None
        return float(flops / (6 * (self.coefficient * flops**self.exponent) ** 2))


@dataclass(frozen=True)
class Budget:
    """Runs of about the same compute; `flops` is its geometric mean."""

    runs: tuple[Run, ...]

    @property
    def flops(self) -> float:
        """FLOPs of one of these runs."""
        return math.exp(sum(math.log(run.flops) for run in self.runs) / len(self.runs))


def isoflop_profiles(runs: Sequence[Run]) -> IsoFlops | None:
    """Profiles of the budgets at which at least four sizes were trained; None if there are none."""
    profiles = tuple(_profile(budget) for budget in same_budgets(runs))
    if not profiles:
        return None
    minima = [(one.flops, one.params) for one in profiles if one.params is not None]
    if len(minima) < 2:
        return IsoFlops(profiles, None, None)
    import numpy as np

    budgets, sizes = np.log(np.array(minima)).T
    exponent, level = np.polyfit(budgets, sizes, 1)
    return IsoFlops(profiles, float(exponent), math.exp(level))


def same_budgets(runs: Sequence[Run]) -> list[Budget]:
    """The budgets at which at least four sizes were trained, each with its runs."""
    groups: list[list[Run]] = []
    for run in sorted(runs, key=lambda run: run.flops):
        if groups and run.flops <= _SAME_BUDGET * groups[-1][0].flops:
            groups[-1].append(run)
        else:
            groups.append([run])
    return [Budget(tuple(group)) for group in groups if len({run.params for run in group}) >= _MIN_SIZES]


def _profile(budget: Budget) -> Profile:
    import numpy as np

    sizes = np.log([run.params for run in budget.runs])
    curve, slope, _ = np.polyfit(sizes - sizes.mean(), [run.loss for run in budget.runs], 2)
    lowest = sizes.mean() - slope / (2 * curve) if curve > 0 else math.inf
    inside = sizes.min() < lowest < sizes.max()
    return Profile(budget.flops, len(budget.runs), math.exp(lowest) if inside else None)
