"""How wide the choice is: the laws' interval, the sizes whose loss is nearly the best, and the shapes among them."""

import math
from dataclasses import dataclass

from llmforge.config.model import ModelSection
from llmforge.plan_scaling.answers import LawAnswer
from llmforge.plan_scaling.laws import REPLICATION, LossLaw, predict_loss
from llmforge.plan_scaling.search import minimise
from llmforge.plan_scaling.shapes import MAX_LAYERS, MIN_LAYERS, widths

LOSS_TOLERANCE = 0.005
# Between these ratios of width to layers the shape hardly matters (Kaplan et al. 2020, figure 5).
_ASPECTS = (32.0, 128.0)


@dataclass(frozen=True)
class Valley:
    """Sizes at a fixed budget whose loss is within a share of the best: from `low` to `high` parameters."""

    tolerance: float
    low: float
    high: float
    tokens_per_param_low: float
    tokens_per_param_high: float


@dataclass(frozen=True)
class NearShape:
    """A legal shape inside the valley, with the tokens that the budget then buys and its loss over the best."""

    layers: int
    dim: int
    heads: int
    params: int
    tokens: float
    excess_loss: float


def valley(flops: float, tolerance: float = LOSS_TOLERANCE, law: LossLaw = REPLICATION) -> Valley:
    """The sizes that lose less than a share of the best loss, at a budget.

    Args:
        flops: the budget.
        tolerance: share of the best loss, 0.005 for half a per cent.
        law: which predicts the losses.
    """
    best = best_size(flops, law)
    limit = (1 + tolerance) * _loss_at(best, flops, law)
    low = _crossing(best, -1.0, limit, flops, law)
    high = _crossing(best, 1.0, limit, flops, law)
    return Valley(tolerance, low, high, flops / (6 * high**2), flops / (6 * low**2))


def best_size(flops: float, law: LossLaw = REPLICATION) -> float:
    """Where the loss law is lowest at a budget (parameters)."""
    start = math.log(math.sqrt(flops / 120))
    return math.exp(minimise(lambda log_params: _loss_at(math.exp(log_params), flops, law), start - 8, start + 8))


def _loss_at(params: float, flops: float, law: LossLaw) -> float:
    return law.loss(params, flops / (6 * params))


def _crossing(best: float, direction: float, limit: float, flops: float, law: LossLaw) -> float:
    """The size on one side of the best at which the loss reaches a limit, by bisection over its logarithm."""
    near, far = 0.0, 16.0
    for _ in range(60):
        middle = (near + far) / 2
        if _loss_at(best * math.exp(direction * middle), flops, law) <= limit:
            near = middle
        else:
            far = middle
    return best * math.exp(direction * near)


def shapes_in(found: Valley, family: ModelSection, vocab_size: int, flops: float) -> tuple[NearShape, ...]:
    """Every legal shape inside a valley at a usual ratio of width to layers, smallest first.

    Args:
        found: the valley.
        family: preset, context and padding of the shapes.
        vocab_size: entries of the tokenizer (count).
        flops: the budget that each of them spends.
    """
    size = best_size(flops)
    best = _loss_at(size, flops, REPLICATION)
    shapes = []
    for width in widths(family, vocab_size, size):
        dim, heads = width.model.dim or 0, width.model.heads or 0
        for layers in range(max(MIN_LAYERS, round(dim / _ASPECTS[1])), min(MAX_LAYERS, int(dim / _ASPECTS[0])) + 1):
            params = width.params(layers)
            if found.low <= params <= found.high:
                excess = _loss_at(params, flops, REPLICATION) / best - 1
                shapes.append(NearShape(layers, dim, heads, params, flops / (6 * params), excess))
    return tuple(sorted(shapes, key=lambda shape: (shape.params, shape.dim)))


@dataclass(frozen=True)
class Region:
    """The choice at a budget: sizes by law, the valley, and every shape in it.

    Attributes:
        flops: the budget.
        laws_low, laws_high: the smallest and the largest answer of any law (parameters).
        laws_low_tokens, laws_high_tokens: the same of tokens: how wide the choice is where a size was asked for.
        valley: sizes that lose less than the tolerance.
        shapes: legal shapes in the valley.
    """

    flops: float
    laws_low: float
    laws_high: float
    laws_low_tokens: float
    laws_high_tokens: float
    valley: Valley
    shapes: tuple[NearShape, ...]


def find_region(family: ModelSection, flops: float, answers: tuple[LawAnswer, ...], vocab_size: int) -> Region | None:
    """The region at a budget (FLOPs); None where the loss law says nothing about runs so small."""
    size = best_size(flops)
    sizes = [answer.params for answer in answers if answer.params is not None]
    tokens = [answer.tokens for answer in answers if answer.tokens is not None]
    if not sizes or predict_loss(size, flops / (6 * size)) is None:
        return None
    found = valley(flops)
    shapes = shapes_in(found, family, vocab_size, flops)
    return Region(flops, min(sizes), max(sizes), min(tokens), max(tokens), found, shapes)
