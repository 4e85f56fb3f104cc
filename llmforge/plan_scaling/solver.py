"""Many fits of the loss law at once: damped, re-weighted least squares in numpy, one row of parameters a fit.

The law in logs, so that A, B and E stay positive: log L = logsumexp(a - alpha log N, b - beta log D, e). The
objective is the Huber loss of the residuals in log L, summed over runs; averaged, its changes fall below usual
tolerances, and a fit ends early (Besiroglu et al. 2024).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmforge.core.hardware import num_cores

Array = NDArray[np.float64]

_CHUNK = 256
_DAMPING = 1e-3
_MAX_DAMPING = 1e8


@dataclass(frozen=True)
class Points:
    """Runs as logs of parameters, tokens and loss, one entry a run."""

    log_params: Array
    log_tokens: Array
    log_loss: Array

    def __len__(self) -> int:
        return len(self.log_loss)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Points":
        """Some of the runs."""
        return Points(self.log_params[chosen], self.log_tokens[chosen], self.log_loss[chosen])


def huber(residuals: Array, delta: float) -> Array:
    """Quadratic up to `delta` (in log loss), linear beyond."""
    size = np.abs(residuals)
    return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))


def residuals_of(theta: Array, points: Points) -> Array:
    """Predicted minus measured log loss, one row a fit (shape fits x runs)."""
    return _terms(theta, points)[0]


def objective(theta: Array, points: Points, delta: float, counts: Array | None = None) -> Array:
    """Huber loss summed over the runs, one value a fit; `counts` says how often each run counts (fits x runs)."""
    losses = huber(residuals_of(theta, points), delta)
    return np.asarray((losses if counts is None else losses * counts).sum(axis=1))


def _terms(theta: Array, points: Points) -> tuple[Array, Array, Array, Array]:
    """Residuals, and the share that each of the three terms has in the predicted loss."""
    a, b, e, alpha, beta = (theta[:, place, None] for place in range(5))
    size, data = a - alpha * points.log_params, b - beta * points.log_tokens
    top = np.maximum(np.maximum(size, data), e)
    shares = np.exp(size - top), np.exp(data - top), np.exp(e - top)
    total = shares[0] + shares[1] + shares[2]
    return (top + np.log(total) - points.log_loss, *(share / total for share in shares))


def solve(
    starts: Array, points: Points, delta: float, *, iterations: int, counts: Array | None = None
) -> tuple[Array, Array]:
    """Improve every start; the objective never rises.

    Args:
        starts: parameters (a, b, e, alpha, beta), one row a fit.
        points: the runs.
        delta: where the Huber loss turns linear (log loss).
        iterations: at most (count).
        counts: how often each run counts in each fit (fits x runs); None: once.

    Returns: the parameters and their objectives.
    """
    found, values = np.empty_like(starts), np.empty(len(starts))

    def work(rows: slice) -> None:
        weights = None if counts is None else counts[rows]
        found[rows], values[rows] = _solve_chunk(starts[rows], points, delta, iterations, weights)

    # numpy leaves the interpreter's lock while it computes, and each chunk writes its own rows.
    with ThreadPoolExecutor(num_cores()) as pool:
        list(pool.map(work, (slice(begin, begin + _CHUNK) for begin in range(0, len(starts), _CHUNK))))
    return found, values


def _solve_chunk(
    theta: Array, points: Points, delta: float, iterations: int, counts: Array | None
) -> tuple[Array, Array]:
    # Centred logs make size and its exponent nearly independent, which is worth a hundred iterations.
    centre = np.array([points.log_params.mean(), points.log_tokens.mean()])
    points = Points(points.log_params - centre[0], points.log_tokens - centre[1], points.log_loss)
    theta = theta.copy()
    theta[:, :2] -= theta[:, 3:] * centre
    values = objective(theta, points, delta, counts)
    damping = np.full(len(theta), _DAMPING)
    for _ in range(iterations):
        step = _step(theta, points, delta, counts, damping)
        trial = theta + step
        reached = objective(trial, points, delta, counts)
        better = reached < values
        theta[better], values[better] = trial[better], reached[better]
        damping = np.where(better, damping / 3, damping * 4)
        if (damping > _MAX_DAMPING).all():
            break
        damping = np.clip(damping, 1e-9, _MAX_DAMPING * 10)
    theta[:, :2] += theta[:, 3:] * centre
    return theta, values


def _step(theta: Array, points: Points, delta: float, counts: Array | None, damping: Array) -> Array:
    """A damped Gauss-Newton step of the re-weighted least squares whose gradient is the Huber loss's."""
    residuals, size, data, floor = _terms(theta, points)
    weights = delta / np.maximum(np.abs(residuals), delta)
    if counts is not None:
        weights = weights * counts
    jacobian = np.stack([size, data, floor, -size * points.log_params, -data * points.log_tokens], axis=1)
    weighted = jacobian * weights[:, None, :]
    normal = weighted @ jacobian.transpose(0, 2, 1)
    gradient = (weighted @ residuals[:, :, None])[:, :, 0]
    diagonal = np.einsum("ijj->ij", normal)
    diagonal += damping[:, None] * diagonal + 1e-12
    return np.asarray(-np.linalg.solve(normal, gradient[:, :, None])[:, :, 0])


def polish(theta: Array, points: Points, delta: float) -> tuple[Array, float]:
    """The exact end of one fit: quasi-Newton with the analytic gradient, then a simplex for kinks."""
    from scipy.optimize import minimize

    scale = 1.0 / delta

    def value_and_gradient(row: Array) -> tuple[float, Array]:
        residuals, size, data, floor = _terms(row[None], points)
        slope = np.clip(residuals, -delta, delta)
        sums = [slope * size, slope * data, slope * floor]
        sums += [-slope * size * points.log_params, -slope * data * points.log_tokens]
        return scale * float(huber(residuals, delta).sum()), scale * np.array([term.sum() for term in sums])

    def value(row: Array) -> float:
        return scale * float(objective(row[None], points, delta)[0])

    best, lowest = theta, value(theta)
    tight = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 2000}
    smooth = minimize(value_and_gradient, best, jac=True, method="L-BFGS-B", options=tight)
    if smooth.fun < lowest:
        best, lowest = smooth.x, float(smooth.fun)
    simplex = {"xatol": 1e-10, "fatol": 1e-13, "maxiter": 2000}
    rough = minimize(value, best, method="Nelder-Mead", options=simplex)
    if rough.fun < lowest:
        best, lowest = rough.x, float(rough.fun)
    return np.asarray(best), lowest / scale
