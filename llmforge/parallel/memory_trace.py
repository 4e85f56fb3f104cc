"""The peak of a training step, traced with fake tensors: no memory is taken and no number computed, and no GPU needed.

It shows what the closed form cannot be asked about (this very model's code), and how far the two are apart.

Source: the memory tracker that comes with torch, a private module; without it there is no trace.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from llmforge.arch.activations import Numbers, Precision
from llmforge.arch.architecture import Architecture
from llmforge.arch.memory import Layout, training_memory
from llmforge.core.errors import MachineError
from llmforge.model.transformer import Transformer

# Two passes of a step: gradients are then alive together with activations, as the closed form takes them.
_PASSES = 2


@dataclass(frozen=True)
class Trace:
    """A traced step of one process.

    Attributes:
        peak_bytes: what its tensors take at most.
        predicted_bytes: the closed form, for the same process.
        seconds: that tracing took.
    """

    peak_bytes: int
    predicted_bytes: int
    seconds: float

    @property
    def error(self) -> float:
        """The closed form's relative error."""
        return self.predicted_bytes / self.peak_bytes - 1


def trace_step(arch: Architecture, sequences: int, precision: Precision = "fp32") -> Trace:
    """Trace a training step with AdamW on this machine's processor, in one process.

    Args:
        arch: the model.
        sequences: in one forward pass (count).
        precision: of the matrix products; on a processor, attention in bf16 keeps its scores.

    Raises: MachineError if this torch has no memory tracker.
    """
    start_s = time.perf_counter()
    peak = _peak_bytes(arch, sequences, precision)
    numbers = Numbers(precision, keeps_scores=precision == "bf16")
    predicted = training_memory(arch, sequences, Layout(micro_batches=_PASSES), numbers=numbers).total
    return Trace(peak, predicted, time.perf_counter() - start_s)


def _peak_bytes(arch: Architecture, sequences: int, precision: Precision) -> int:
    try:
        from torch.distributed._tools.mem_tracker import MemTracker
    except ImportError as error:
        raise MachineError(
            f"torch {torch.__version__} has no memory tracker, so that nothing can be traced",
            "the closed form stands; or install the torch that constraints.txt names",
        ) from error
    tracker = MemTracker()
    with FakeTensorMode():
        model = Transformer(arch)
        optimizer = torch.optim.AdamW(model.parameters())
        tracker.track_external(model, optimizer)
        tokens_BT = torch.zeros(sequences, arch.context, dtype=torch.int64)
        with tracker:
            _train(model, optimizer, tokens_BT, precision, before_pass=tracker.reset_mod_stats)
    snapshots = tracker.get_tracker_snapshot("peak")
    return int(sum(parts["Total"] for parts in snapshots.values()))


def _train(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    tokens_BT: torch.Tensor,
    precision: Precision,
    before_pass: Callable[[], None],
) -> None:
    """A step that makes the optimizer's states, and the passes of one that has them."""
    for has_states in (False, True):
        for _ in range(_PASSES):
            before_pass()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = model(tokens_BT, tokens_BT)
            loss.backward()
        if not has_states:
            optimizer.step()
            optimizer.zero_grad()
