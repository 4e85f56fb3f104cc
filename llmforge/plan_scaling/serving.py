"""Inference-aware sizing: a smaller model trained for longer is cheaper where many tokens will be served.

Source: Sardana et al. 2024, section 2: minimise 6 N D + 2 N D_served for a given loss. Training and serving FLOPs
count alike here; a weight says that a served one costs more or less.
"""

import math
from dataclasses import dataclass

from llmforge.plan_scaling.laws import REPLICATION, LossLaw
from llmforge.plan_scaling.search import minimise


@dataclass(frozen=True)
class Served:
    """A model that is trained and then serves: size, training tokens, and all FLOPs over its life."""

    params: float
    tokens: float
    flops: float


def size_for_serving(
    loss: float, served_tokens: float, *, law: LossLaw = REPLICATION, served_weight: float = 1.0
) -> Served:
    """The cheapest model of a given loss, over training and serving together.

    Args:
        loss: to be reached (nats per token).
        served_tokens: tokens read and written while serving.
        law: which says what a size and tokens reach.
        served_weight: price of a FLOP while serving over one while training.

    Raises: ValueError if no model of any size reaches the loss.
    """
    if loss <= law.E:
        raise ValueError(f"no model reaches a loss of {loss:.4f}: the law's floor is {law.E:.4f}")

    def lifetime_flops(log_params: float) -> float:
        params = math.exp(log_params)
        return 6 * params * law.tokens_for_loss(params, loss) + served_weight * 2 * params * served_tokens

    # Below this size the loss is out of reach however long the training.
    smallest = math.log((law.A / (loss - law.E)) ** (1 / law.alpha))
    best = minimise(lifetime_flops, smallest + 1e-9, smallest + 12, brackets=400)
    params = math.exp(best)
    return Served(params, law.tokens_for_loss(params, loss), lifetime_flops(best))
