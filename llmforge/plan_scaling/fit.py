"""A loss law from one's own runs: many starts, bootstrap intervals, and what the runs cannot tell.

1. 4,500 starts, narrowed in three rounds: a few steps for all, more for the better, to the end for the best
2. the best one polished with the analytic gradient and a simplex
3. bootstrap: runs drawn with replacement, each refit from the optimum
4. checks: without the highest losses, without the largest residuals, and the largest runs predicted from the others;
   isoFLOP profiles beside it

Source: Hoffmann et al. 2022, appendix D.2 (objective and grid); Besiroglu et al. 2024 (summed, not averaged).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from llmforge.plan_scaling.fit_checks import HeldOut, Sensitivity, find_warnings
from llmforge.plan_scaling.isoflop import IsoFlops, isoflop_profiles
from llmforge.plan_scaling.laws import LossLaw, frontier
from llmforge.plan_scaling.runs_table import Run
from llmforge.plan_scaling.solver import Array, Points, polish, residuals_of, solve

DELTA = 1e-3
NUM_RESAMPLES = 1000
# Rounds of the search: fits that go on, and the steps that each of them takes.
_ROUNDS = ((4500, 8), (500, 25), (32, 150))
_REFIT_STEPS = 20
_CHECK_STEPS = 80
_PERCENTILES = (10, 90)
_SAME_OPTIMUM = 1e-4
_HELD_OUT_SHARE = 0.2
_DROPPED = 5


@dataclass(frozen=True)
class Fit:
    """A fitted law and how far to trust it.

    Attributes:
        params: E, A, B, alpha, beta.
        objective: Huber loss of log loss, summed over the runs.
        delta: where the Huber loss turns linear (log loss).
        num_runs, num_starts, num_resamples: counts.
        starts_at_best: fits of the last round that ended within 0.01 % of the best objective (count).
        intervals: 10th and 90th percentile of the bootstrap, for the parameters, for `exponent` (optimal size over
            compute) and for `tokens_per_param` at `budget_flops`.
        exponent, tokens_per_param, budget_flops: what the law recommends, at that budget; null where one of its powers
            is not positive, for then it has no optimum.
        median_error: median of |predicted / measured - 1| of the losses.
        held_out: the largest runs, predicted from the smaller ones.
        sensitivity: tokens per parameter without the runs that pull most.
        isoflop: the best sizes by budget, as a cross-check; null where no budget has four sizes.
        warnings: what the runs cannot tell.
    """

    params: dict[str, float]
    objective: float
    delta: float
    num_runs: int
    num_starts: int
    starts_at_best: int
    num_resamples: int
    seed: int
    intervals: dict[str, tuple[float, float]]
    exponent: float | None
    tokens_per_param: float | None
    budget_flops: float
    median_error: float
    held_out: HeldOut
    sensitivity: tuple[Sensitivity, ...]
    isoflop: IsoFlops | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The fit as JSON values."""
        return asdict(self)

    @property
    def law(self) -> LossLaw:
        """The fitted law."""
        return LossLaw("own fit", **self.params)


def fit_law(
    runs: Sequence[Run],
    *,
    seed: int,
    budget_flops: float | None = None,
    delta: float = DELTA,
    num_resamples: int = NUM_RESAMPLES,
) -> Fit:
    """Fit E + A / N^alpha + B / D^beta to runs.

    Args:
        runs: at least 8, of different sizes and tokens.
        seed: of the bootstrap.
        budget_flops: where tokens per parameter are asked for; None: ten times the largest run.
        delta: where the Huber loss turns linear (log loss).
        num_resamples: of the bootstrap (count).
    """
    points = to_points(runs)
    budget = budget_flops or 10 * max(run.flops for run in runs)
    theta, value, at_best = search(points, delta)
    resampled = _bootstrap(theta, points, delta, num_resamples, seed)
    law = to_law(theta)
    intervals = _intervals(resampled, budget)
    errors = np.abs(np.expm1(residuals_of(theta[None], points)[0]))
    sensitivity = _sensitivity(theta, points, delta, budget)
    held_out = _held_out(runs, theta, delta)
    ratio = _tokens_per_param(law, budget)
    return Fit(
        params=_named(law),
        objective=value,
        delta=delta,
        num_runs=len(runs),
        num_starts=_ROUNDS[0][0],
        starts_at_best=at_best,
        num_resamples=num_resamples,
        seed=seed,
        intervals=intervals,
        exponent=law.exponent if ratio is not None else None,
        tokens_per_param=ratio,
        budget_flops=budget,
        median_error=float(np.median(errors)),
        held_out=held_out,
        sensitivity=sensitivity,
        isoflop=isoflop_profiles(runs),
        warnings=tuple(find_warnings(runs, law, intervals, sensitivity, budget, at_best)),
    )


def to_points(runs: Sequence[Run]) -> Points:
    """The runs as logs."""
    columns = np.log(np.array([(run.params, run.tokens, run.loss) for run in runs], dtype=np.float64)).T
    return Points(columns[0], columns[1], columns[2])


def to_law(theta: Array) -> LossLaw:
    """Fitted logs as a law."""
    a, b, e, alpha, beta = (float(value) for value in theta)
    return LossLaw("own fit", E=float(np.exp(e)), A=float(np.exp(a)), B=float(np.exp(b)), alpha=alpha, beta=beta)


def starting_grid() -> Array:
    """The 4,500 starts of Hoffmann et al. 2022, as rows (a, b, e, alpha, beta)."""
    coefficients, floors, exponents = np.arange(0, 26, 5.0), np.arange(-1, 1.01, 0.5), np.arange(0, 2.01, 0.5)
    return np.array(list(product(coefficients, coefficients, floors, exponents, exponents)))


def search(points: Points, delta: float) -> tuple[Array, float, int]:
    """The best fit over all starts: its parameters, its objective, and how many of the last round ended there."""
    theta = starting_grid()
    values = np.zeros(len(theta))
    for survivors, steps in _ROUNDS:
        chosen = np.argsort(values, kind="stable")[:survivors]
        theta, values = solve(theta[chosen], points, delta, iterations=steps)
    best, value = polish(theta[np.argmin(values)], points, delta)
    return best, value, int((values <= value * (1 + _SAME_OPTIMUM)).sum())


def _bootstrap(theta: Array, points: Points, delta: float, num_resamples: int, seed: int) -> Array:
    """Refits of runs drawn with replacement, one row a resample."""
    draws = np.random.default_rng(seed).multinomial(len(points), np.full(len(points), 1 / len(points)), num_resamples)
    starts = np.repeat(theta[None], num_resamples, axis=0)
    return solve(starts, points, delta, iterations=_REFIT_STEPS, counts=draws.astype(np.float64))[0]


def _intervals(resampled: Array, budget: float) -> dict[str, tuple[float, float]]:
    laws = [to_law(row) for row in resampled if min(row[3:]) > 0]
    columns = {name: [getattr(law, name) for law in laws] for name in ("E", "A", "B", "alpha", "beta", "exponent")}
    columns["tokens_per_param"] = [frontier(law, "").tokens_per_param(budget) for law in laws]
    ends = {name: np.percentile(values, _PERCENTILES) for name, values in columns.items() if values}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _refit(theta: Array, points: Points, delta: float) -> LossLaw:
    return to_law(solve(theta[None], points, delta, iterations=_CHECK_STEPS)[0][0])


def _sensitivity(theta: Array, points: Points, delta: float, budget: float) -> tuple[Sensitivity, ...]:
    """The recommendation without the highest losses, and without the runs that fit worst."""
    if len(points) < 3 * _DROPPED:
        return ()
    residuals = np.abs(residuals_of(theta[None], points)[0])
    orders = {
        f"without the {_DROPPED} highest losses": np.argsort(points.log_loss),
        f"without the {_DROPPED} largest residuals": np.argsort(residuals),
    }
    results = []
    for name, order in orders.items():
        law = _refit(theta, points.take(np.sort(order[:-_DROPPED])), delta)
        results.append(Sensitivity(name, law.E, law.alpha, law.beta, _tokens_per_param(law, budget)))
    return tuple(results)


def _tokens_per_param(law: LossLaw, budget: float) -> float | None:
    """What a law recommends; None where a power is not positive, for then there is no optimum."""
    return frontier(law, "").tokens_per_param(budget) if min(law.alpha, law.beta) > 0 else None


def _held_out(runs: Sequence[Run], theta: Array, delta: float) -> HeldOut:
    """Errors on the fifth of the runs with most compute, of a fit on the others."""
    by_compute = sorted(runs, key=lambda run: run.flops)
    cut = len(runs) - max(1, round(_HELD_OUT_SHARE * len(runs)))
    law = _refit(theta, to_points(by_compute[:cut]), delta)
    errors = [abs(law.loss(run.params, run.tokens) / run.loss - 1) for run in by_compute[cut:]]
    return HeldOut(by_compute[cut].flops, len(errors), float(np.mean(errors)), max(errors))


def _named(law: LossLaw) -> dict[str, float]:
    return {"E": law.E, "A": law.A, "B": law.B, "alpha": law.alpha, "beta": law.beta}
