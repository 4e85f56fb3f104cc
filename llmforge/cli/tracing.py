"""`--trace`: the closed form of a step's memory beside the peak that fake tensors show."""

from dataclasses import asdict
from typing import Any

from llmforge.arch.activations import Precision
from llmforge.arch.architecture import Architecture


def trace(arch: Architecture, sequences: int, precision: Precision) -> tuple[str, dict[str, Any]]:
    """Trace a step of one process: a line for people, and the same as JSON values.

    Args:
        arch: the model.
        sequences: in one forward pass (count).
        precision: of the matrix products.
    """
    from llmforge.parallel.memory_trace import trace_step  # imports torch

    found = trace_step(arch, sequences, precision)
    peak, predicted = (size / 2**30 for size in (found.peak_bytes, found.predicted_bytes))
    line = (
        f"traced memory of one process, {sequences} sequences of {arch.context:,} tokens, {precision}, AdamW: "
        f"{peak:,.4g} GiB; closed form {predicted:,.4g} GiB, {found.error:+.1%} ({found.seconds:.0f} s of tracing)"
    )
    values = {**asdict(found), "sequences": sequences, "precision": precision, "error": found.error}
    return line, {"trace": values}
