"""`llmforge inspect checkpoint`: where a training stood, who saved it, and every parameter."""

from dataclasses import asdict
from typing import Any

from llmforge.cli.output import count, size, table
from llmforge.train.inspection import CheckpointFacts


def to_dict(facts: CheckpointFacts) -> dict[str, Any]:
    """A checkpoint for --json."""
    return {**asdict(facts), "folder": facts.folder.as_posix()}


def checkpoint_lines(facts: CheckpointFacts) -> list[str]:
    """A checkpoint for a reader."""
    state, arch = facts.state, facts.state["architecture"]
    files = ", ".join(f"{name} {size(num_bytes)}" for name, num_bytes in facts.files.items())
    return [
        f"{facts.folder.name}: whole, every file has the hash that was written down; {files}",
        f"step     {count(state['step'])} of {count(state['num_steps'])}: {count(state['tokens'])} tokens, "
        f"{count(state['samples'])} samples, data hash {state['data_hash'][:16]}",
        f"saved by {state['strategy']} on {state['processes']} processes, {state['device']}, {state['precision']}; "
        f"llmforge {state['llmforge_version']}, torch {state['packages']['torch']}",
        f"model    {arch['family']}: {arch['layers']} layers, width {arch['dim']}, {arch['heads']} heads, "
        f"context {count(arch['context'])}, vocabulary {count(arch['vocab_size'])}",
        "",
        *table(_rows(facts)),
    ]


def _rows(facts: CheckpointFacts) -> list[list[str]]:
    rows = [["parameter", "shape", "type", "rms", "largest", "optimizer"]]
    for tensor in facts.parameters:
        shape = " x ".join(map(str, tensor.shape))
        values = [f"{tensor.rms:.3g}", f"{tensor.largest:.3g}"]
        rows.append([tensor.name, shape, tensor.dtype, *values, ", ".join(tensor.optimizer) or "none"])
    return rows
