"""How much of a device's peak training reaches: published measurements, by device and size."""

import math
from dataclasses import dataclass

from llmforge.config.plan_scaling import PlanScalingSection

_UNKNOWN = 0.4

# Median share of the peak, and how many runs it rests on, by parameters: bf16, 2,048 tokens of context.
# Source: the throughput tables of MosaicML's llm-foundry (Apache-2.0), scripts/train/benchmarking.
PUBLISHED: dict[str, dict[float, tuple[float, int]]] = {
    "a100-40gb": {
        125e6: (0.399, 5),
        350e6: (0.473, 5),
        760e6: (0.519, 5),
        1.3e9: (0.554, 5),
        2.7e9: (0.560, 5),
        6.7e9: (0.507, 5),
        13e9: (0.520, 5),
        30e9: (0.520, 2),
        70e9: (0.424, 2),
    },
    "a100-80gb": {
        125e6: (0.446, 2),
        350e6: (0.516, 1),
        760e6: (0.569, 1),
        1.3e9: (0.599, 1),
        2.7e9: (0.621, 1),
        6.7e9: (0.642, 1),
        13e9: (0.596, 1),
        30e9: (0.553, 1),
        70e9: (0.509, 2),
    },
    "h100-80gb": {
        760e6: (0.376, 3),
        1.3e9: (0.409, 7),
        2.7e9: (0.415, 6),
        6.7e9: (0.449, 4),
        13e9: (0.400, 7),
        30e9: (0.414, 6),
        70e9: (0.424, 5),
    },
}


@dataclass(frozen=True)
class Utilization:
    """Share of the peak, 0 to 1, and where it comes from."""

    value: float
    reason: str


def choose_utilization(section: PlanScalingSection, params: float) -> Utilization:
    """The share that the settings give; else the published one of the nearest size on this device; else 40 %."""
    if section.utilization != "auto":
        return Utilization(section.utilization, "plan_scaling.utilization")
    if section.device not in PUBLISHED:
        return Utilization(_UNKNOWN, "a usual share; no measurements of this device are at hand")
    sizes = PUBLISHED[section.device]
    nearest = min(sizes, key=lambda size: abs(math.log(size / params)))
    value, num_runs = sizes[nearest]
    return Utilization(value, f"median of {num_runs} published runs of {nearest:.3g} parameters on {section.device}")
