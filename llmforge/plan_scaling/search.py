"""Minima of functions of one variable that may have several valleys."""

from collections.abc import Callable

_GOLDEN = 0.6180339887498949


def minimise(function: Callable[[float], float], low: float, high: float, *, brackets: int = 60) -> float:
    """Where a continuous function is lowest: the best of many points, then a golden-section search around it.

    Args:
        function: may be infinite where it is not defined.
        low, high: bounds of the search.
        brackets: parts that the interval is cut into first, so that a kink or second valley is not missed (count).
    """
    step = (high - low) / brackets
    points = [low + step * place for place in range(brackets + 1)]
    best = min(points, key=function)
    left, right = max(low, best - step), min(high, best + step)
    while right - left > 1e-10 * max(1.0, abs(left)):
        inner_left = right - _GOLDEN * (right - left)
        inner_right = left + _GOLDEN * (right - left)
        if function(inner_left) <= function(inner_right):
            right = inner_right
        else:
            left = inner_left
    return (left + right) / 2
