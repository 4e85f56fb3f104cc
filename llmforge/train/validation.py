"""Validation: the loss of each source, in nats a token and in bits a byte, and that of all of them together."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.parallel.strategy import LossSum, Strategy
from llmforge.train.data import ValidationData
from llmforge.train.plan import BatchShape


@dataclass(frozen=True)
class Validation:
    """What a validation measured.

    Attributes:
        by_source: loss sums, by source; a source of which no window was chosen is not there.
        data: the split that it was measured on.
    """

    by_source: dict[str, LossSum]
    data: ValidationData

    @property
    def total(self) -> LossSum:
        """All sources together."""
        return add_up(list(self.by_source.values()))

    def figures(self) -> dict[str, Any]:
        """As in metrics.jsonl; nothing where no token was validated."""
        total = self.total
        if not total.tokens:
            return {}
        by_source = {name: self._figures(loss, name) for name, loss in self.by_source.items()}
        all_of_them = {f"val_{name}": value for name, value in self._figures(total, None).items()}
        return {**all_of_them, "val_by_source": by_source}

    def _figures(self, loss: LossSum, source: str | None) -> dict[str, float]:
        """Over the whole split, bits per byte are exact; over a part, by the split's mean tokens per byte."""
        bits_per_byte = loss.loss / math.log(2) * self.data.tokens_per_byte(source)
        return {"loss": loss.loss, "bits_per_byte": bits_per_byte}


def validate(strategy: Strategy, data: ValidationData, shape: BatchShape, num_tokens: int | None) -> Validation:
    """Loss over about `num_tokens` tokens of the split, always the same ones; None: over all. All ranks call it."""
    chosen = data.by_source(data.choose(num_tokens))
    return Validation({name: _loss(strategy, data, shape, windows) for name, windows in chosen.items()}, data)


def _loss(strategy: Strategy, data: ValidationData, shape: BatchShape, windows: NDArray[np.int64]) -> LossSum:
    return add_up([strategy.eval_step(batch) for batch in data.batches(windows, shape)])


def add_up(parts: list[LossSum]) -> LossSum:
    """The sum of loss sums, the same in any order."""
    return LossSum(math.fsum(part.loss_sum for part in parts), sum(part.tokens for part in parts))
