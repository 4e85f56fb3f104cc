"""Which strategies a device's memory has room for, and the cheapest of them."""

from dataclasses import asdict, dataclass

from llmforge.arch.activations import Precision
from llmforge.arch.architecture import Architecture
from llmforge.arch.memory import Layout, Memory, training_memory
from llmforge.arch.params import list_weights
from llmforge.arch.strategies import strategies_on
from llmforge.arch.zero_estimates import estimate_zero2, estimate_zero3
from llmforge.config.plan_scaling import PlanScalingSection

# From the least to the most that is sent, computed again or waited for.
_CHEAPEST_FIRST = (
    "single",
    "ddp",
    "zero1",
    "zero2",
    "fsdp",
    "zero3",
    "single, recompute",
    "fsdp, recompute",
    "tensor",
    "2d",
    "3d",
    "pipeline",
    "zero1, offload",
    "zero2, offload",
    "zero3, offload",
    "model",
)


def precision_of(section: PlanScalingSection) -> Precision:
    """bf16 where a device is named, as its peak is quoted for it; fp32 otherwise."""
    return "fp32" if section.device_flops_per_s is None else "bf16"


def names_gpu(section: PlanScalingSection) -> bool:
    """Whether the settings say what device computes; without one, plans are for a CPU."""
    return section.device_flops_per_s is not None or section.device_memory_bytes is not None


@dataclass(frozen=True)
class Placement:
    """What every strategy holds and how it spreads the run, by its name, and why the others cannot run."""

    memory: dict[str, Memory]
    layouts: dict[str, Layout]
    left_out: dict[str, str]


def place(arch: Architecture, sequences: int, micro_batches: int, section: PlanScalingSection) -> Placement:
    """Memory of the fullest rank for one process, and for every strategy on the devices (two where there is one).

    Args:
        arch: the model.
        sequences: in one forward pass (count).
        micro_batches: forward passes of a step, over all ranks (count).
        section: devices and their precision.
    """
    one, many = strategies_on(arch, 1), strategies_on(arch, max(2, section.num_devices), micro_batches)
    layouts, precision = one.layouts | many.layouts, precision_of(section)
    gpu = names_gpu(section)
    memory = {name: training_memory(arch, sequences, layout, precision, gpu=gpu) for name, layout in layouts.items()}
    return Placement(memory, layouts, many.left_out)


def deepspeed_estimates(arch: Architecture, section: PlanScalingSection) -> dict[str, dict[str, int]]:
    """What DeepSpeed's own estimators say of the model states alone, for comparison (bytes a device, and of its node).

    The devices count as one node.
    """
    weights = list_weights(arch)
    params = sum(weight.total for weight in weights)
    largest, devices = max(weight.each for weight in weights), max(2, section.num_devices)
    estimates = {
        "zero2": estimate_zero2(params, devices, offload=False),
        "zero2, offload": estimate_zero2(params, devices, offload=True),
        "zero3": estimate_zero3(params, largest, devices, offload=False),
        "zero3, offload": estimate_zero3(params, largest, devices, offload=True),
    }
    return {name: asdict(estimate) for name, estimate in estimates.items()}


def cheapest_that_fits(memory: dict[str, Memory], section: PlanScalingSection) -> str | None:
    """The strategy that costs least of those that fit; None without a device's memory, or where none fits."""
    if section.device_memory_bytes is None:
        return None
    one = section.num_devices == 1
    allowed = [name for name in _CHEAPEST_FIRST if name in memory and name.startswith("single") == one]
    return next((name for name in allowed if memory[name].total <= section.device_memory_bytes), None)
