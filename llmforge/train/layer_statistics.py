"""What gradients and optimizer do to each parameter in one step: gradient norm, weight norm, update against weight."""

from typing import Any

from torch import Tensor

from llmforge.parallel.strategy import Strategy


class LayerStatistics:
    """Looks at a step from both sides of the update; every rank calls both methods, in this order.

    Gradients are those before clipping. A copy of all weights is held between the two calls.
    """

    def before_update(self, strategy: Strategy) -> None:
        """Between the two halves of a step."""
        self._grad_norms = {name: float(gradient.norm()) for name, gradient in strategy.gradients()}
        self._weights: dict[str, Tensor] = {name: weight.clone() for name, weight in strategy.full_state()}

    def after_update(self, strategy: Strategy) -> dict[str, dict[str, Any]]:
        """Norms by parameter name (L2), and the norm of the update divided by that of the weight (None for 0)."""
        return {
            name: _describe(self._grad_norms[name], self._weights.pop(name), weight)
            for name, weight in strategy.full_state()
        }


def _describe(grad_norm: float, before: Tensor, after: Tensor) -> dict[str, Any]:
    weight_norm = float(before.norm())
    update_norm = float((after - before).norm())
    ratio = update_norm / weight_norm if weight_norm else None
    return {"grad_norm": grad_norm, "weight_norm": weight_norm, "update_to_weight": ratio}
