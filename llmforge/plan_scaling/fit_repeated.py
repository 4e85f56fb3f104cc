"""What repeated tokens are worth, from one's own runs: the two half-lives of the data-constrained law.

The law of fresh data stays as it is. Both half-lives are scanned together, so that no valley is missed, the best
point is polished, and the scan serves every resample of the bootstrap.

Source: Muennighoff et al. 2023, section 3.1 and appendix A.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from llmforge.plan_scaling.laws import C4_REPEATED, LossLaw
from llmforge.plan_scaling.repeated import PARAM_HALF_LIFE, TOKEN_HALF_LIFE
from llmforge.plan_scaling.runs_table import Run
from llmforge.plan_scaling.solver import Array, huber

# Half-lives that are scanned: at the upper end, repetitions are worth what fresh tokens are.
_SCANNED = (0.5, 1e4, 80)
_PERCENTILES = (10, 90)
_WIDE = 2.0
_PUBLISHED = {"tokens": TOKEN_HALF_LIFE, "params": PARAM_HALF_LIFE}


@dataclass(frozen=True)
class HalfLives:
    """Repetitions after which tokens, and excess parameters, are worth little.

    Attributes:
        tokens, params: the best pair (repetitions).
        objective: its Huber loss of log loss, summed over the runs.
        published_objective: that of the published pair, on the same runs.
        intervals: 10th and 90th percentile of the bootstrap, for each.
        warnings: what the runs cannot tell.
    """

    tokens: float
    params: float
    objective: float
    published_objective: float
    intervals: dict[str, tuple[float, float]]
    warnings: tuple[str, ...]


def fit_half_lives(
    runs: Sequence[Run],
    *,
    seed: int,
    law: LossLaw = C4_REPEATED,
    delta: float = 1e-3,
    num_resamples: int = 1000,
) -> HalfLives:
    """Fit both half-lives to runs on repeated data.

    Args:
        runs: sizes, tokens, unique tokens and losses.
        seed: of the bootstrap.
        law: loss over size and fresh data.
        delta: where the Huber loss turns linear (log loss).
        num_resamples: of the bootstrap (count).
    """
    columns = np.array([(run.params, run.tokens, run.loss) for run in runs], dtype=np.float64).T
    unique = np.array([run.tokens / run.epochs for run in runs])

    def losses(half_lives: Array) -> Array:
        return huber(_log_loss(half_lives, columns, unique, law) - np.log(columns[2]), delta)

    scanned = np.geomspace(*_SCANNED)
    grid = np.array(np.meshgrid(scanned, scanned)).reshape(2, -1).T
    by_run = losses(grid)
    best, value = _polish(grid[np.argmin(by_run.sum(axis=1))], losses)
    draws = np.random.default_rng(seed).multinomial(len(runs), np.full(len(runs), 1 / len(runs)), num_resamples)
    resampled = grid[np.argmin(draws @ by_run.T, axis=1)]
    ends = np.percentile(resampled, _PERCENTILES, axis=0).T
    intervals = {name: (float(low), float(high)) for name, (low, high) in zip(("tokens", "params"), ends, strict=True)}
    published = float(losses(np.array([[TOKEN_HALF_LIFE, PARAM_HALF_LIFE]])).sum())
    warnings = tuple(warning for name, interval in intervals.items() for warning in _warnings(name, *interval))
    return HalfLives(float(best[0]), float(best[1]), value, published, intervals, warnings)


def _log_loss(half_lives: Array, columns: Array, unique: Array, law: LossLaw) -> Array:
    """Predicted log loss, one row for each pair of half-lives (pairs x runs)."""
    params, tokens, _ = columns
    supported = (unique * law.balance) ** (law.beta / law.alpha) * law.balance
    worth_params = _worth(params, np.minimum(params, supported), half_lives[:, 1, None])
    worth_tokens = _worth(tokens, unique, half_lives[:, 0, None])
    return np.asarray(np.log(law.E + law.A * worth_params**-law.alpha + law.B * worth_tokens**-law.beta))


def _worth(value: Array, base: Array, half_life: Array) -> Array:
    return np.asarray(base - base * half_life * np.expm1(-np.maximum(value / base - 1, 0) / half_life))


def _polish(start: Array, losses: Callable[[Array], Array]) -> tuple[Array, float]:
    """The end of the search from the best scanned pair, over logarithms, with a simplex."""
    from scipy.optimize import minimize

    found = minimize(lambda logs: float(losses(np.exp(logs)[None]).sum()), np.log(start), method="Nelder-Mead")
    return np.exp(found.x), float(found.fun)


def _warnings(name: str, low: float, high: float) -> Iterator[str]:
    """What an interval does not say by itself."""
    if high > _WIDE * low:
        end = "beyond every repetition that was tried" if high >= _SCANNED[1] else f"{high:.3g}"
        yield (
            f"the half-life of {name} is weakly identified, {low:.3g} to {end}: half-lives of tokens and of parameters "
            "stand in for each other in these runs"
        )
    if not low <= _PUBLISHED[name] <= high:
        yield (
            f"the published half-life of {name}, {_PUBLISHED[name]:.3g}, is outside {low:.3g} to {high:.3g}: it rests "
            "on another law of fresh data, and the interval takes the law fitted here as certain"
        )
