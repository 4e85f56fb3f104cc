"""What runs cannot tell about a law: warnings with their numbers."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llmforge.plan_scaling.laws import LossLaw
from llmforge.plan_scaling.runs_table import Run

_MIN_EXPONENT = 0.02
_MIN_FLOOR = 0.05
_MAX_DECADES = 3.0
_WIDE = 2.0
_MIN_SPREAD = 3.0
# So many lengths of one size are seldom trained one by one.
_MANY_LENGTHS = 10


@dataclass(frozen=True)
class Sensitivity:
    """The law without some of the runs; `tokens_per_param` is null where an exponent is not positive."""

    name: str
    E: float
    alpha: float
    beta: float
    tokens_per_param: float | None


@dataclass(frozen=True)
class HeldOut:
    """Losses of the largest runs, from `min_flops` on, as predicted from the smaller ones (shares of the loss)."""

    min_flops: float
    num_runs: int
    mean_error: float
    max_error: float


def find_warnings(
    runs: Sequence[Run],
    law: LossLaw,
    intervals: dict[str, tuple[float, float]],
    sensitivity: Sequence[Sensitivity],
    budget: float,
    starts_at_best: int,
) -> Iterator[str]:
    """What to know before trusting the law, one sentence each."""
    for name in ("alpha", "beta"):
        if getattr(law, name) < _MIN_EXPONENT:
            yield f"{name} = {getattr(law, name):.3g} is at the edge: these runs cannot separate its term from E"
    if law.E < _MIN_FLOOR:
        yield f"E = {law.E:.3g} is at the edge: no run is long or large enough to show a floor"
    for name in ("params", "tokens"):
        sizes = [getattr(run, name) for run in runs]
        if max(sizes) < _MIN_SPREAD * min(sizes):
            yield f"the runs span only {min(sizes):.3g} to {max(sizes):.3g} {name}: the power of {name} is a guess"
    size, lengths = Counter(run.params for run in runs).most_common(1)[0]
    if lengths >= _MANY_LENGTHS:
        yield (
            f"{lengths} runs have {size:.4g} params: if they are checkpoints of one training, their rate had not "
            "fallen yet, and they are not independent; both mislead the fit and narrow its intervals"
        )
    decades = math.log10(budget / max(run.flops for run in runs))
    if decades > _MAX_DECADES:
        yield f"{budget:.3g} FLOPs is {decades:.1f} decades beyond the largest run; a small error there is a large one"
    if starts_at_best == 1:
        yield "only one start reached the best fit; others may be better still"
    low, high = intervals.get("tokens_per_param", (0.0, math.inf))
    if high > _WIDE * low:
        yield f"tokens per parameter is weakly identified: {low:.3g} to {high:.3g} (10th to 90th percentile)"
    for one in sensitivity:
        if one.tokens_per_param is None or not low <= one.tokens_per_param <= high:
            shown = "undefined" if one.tokens_per_param is None else f"{one.tokens_per_param:.3g}"
            yield f"{one.name}, tokens per parameter is {shown}, outside {low:.3g} to {high:.3g}"
