"""DeepSpeed's own estimates of ZeRO's model states, for comparison: no activations, logits or buffers.

Source: deepspeed 0.19, runtime/zero/stage_1_and_2.py and stage3.py, the functions estimate_zero2_model_states_mem_needs
and estimate_zero3_model_states_mem_needs. The 18 bytes of a parameter: 2 and 4 for its gradient, 4 for its fp32
master and 8 for the moments of Adam.
"""

from dataclasses import dataclass

_STATE_BYTES = 18
_HOST_FACTOR = 1.5


@dataclass(frozen=True)
class StateEstimate:
    """Bytes of one device, and of the host memory of one node."""

    device: int
    host: int


def estimate_zero2(params: int, devices: int, nodes: int = 1, *, offload: bool) -> StateEstimate:
    """Stage 2.

    Args:
        params: of the model (count).
        devices: of each node (count).
        nodes: count.
        offload: whether optimizer states are kept in host memory.
    """
    ranks = devices * nodes
    if offload:
        return StateEstimate(2 * params, int(params * max(4 * ranks, 16) * _HOST_FACTOR))
    return StateEstimate(2 * params + _sharded(params, ranks), int(4 * params * devices * _HOST_FACTOR))


def estimate_zero3(
    params: int, largest_layer: int, devices: int, nodes: int = 1, *, offload: bool, offload_params: bool = False
) -> StateEstimate:
    """Stage 3, with weights that are sharded from the start.

    Args:
        params: of the model (count).
        largest_layer: parameters of the largest module, which is gathered whole (count).
        devices: of each node (count).
        nodes: count.
        offload: whether optimizer states are kept in host memory.
        offload_params: whether the weights are, too.
    """
    gathered, ranks = 4 * largest_layer, devices * nodes
    if offload and offload_params:
        return StateEstimate(gathered, int(params * _STATE_BYTES / nodes * _HOST_FACTOR))
    if offload:
        return StateEstimate(gathered + int(2 * params / ranks), int(params * 16 / nodes * _HOST_FACTOR))
    device = gathered + _sharded(params, ranks)
    return StateEstimate(device, int(largest_layer * 4 * devices * _HOST_FACTOR))


def _sharded(params: int, ranks: int) -> int:
    return int(_STATE_BYTES * params / ranks)
