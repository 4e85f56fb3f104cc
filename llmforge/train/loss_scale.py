"""The factor that losses are multiplied by under fp16, so that small gradients do not vanish in it.

Source: Micikevicius et al. 2018 (mixed precision training), section 3.2; the numbers are those of torch.amp.GradScaler.
Every decision follows from the global gradient norm, so all ranks decide alike, and the scale is part of a checkpoint,
so a resumed run decides as an undisturbed one.
"""

import math
from dataclasses import dataclass

from llmforge.parallel.strategy import StepResult

_GROW_AFTER_STEPS = 2000
_MOST, _LEAST = 2.0**24, 1.0


@dataclass(frozen=True)
class LossScale:
    """A power of two, so that scaling there and back changes no digit.

    Attributes:
        value: the factor.
        good_steps: steps since it last changed (count).
    """

    value: float = 65536.0
    good_steps: int = 0

    def overflowed(self, result: StepResult) -> bool:
        """Whether this scale, and not the training, is to blame for gradients that are not finite."""
        return math.isfinite(result.loss) and not math.isfinite(result.grad_norm) and self.value > _LEAST

    def after(self, *, overflow: bool) -> "LossScale":
        """The scale of the next step: half as large after an overflow, twice after many good steps."""
        if overflow:
            return LossScale(max(self.value / 2, _LEAST))
        if self.good_steps + 1 < _GROW_AFTER_STEPS or self.value >= _MOST:
            return LossScale(self.value, self.good_steps + 1)
        return LossScale(self.value * 2)
