"""What a model's size is made of: the table behind `llmforge inspect params`, and a lesson in counting.

Two uses: `inspect_parameters` of one architecture, as data; `lesson`, which counts by hand.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from llmforge.arch.architecture import Architecture
from llmforge.arch.params import COUNTING_RULE, ParameterCount, Weight, count_parameters, dense_network, list_weights
from llmforge.arch.presets import preset

# Bytes of a parameter in a file.
DISK_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
# fp32 training with AdamW: the weight, its gradient and two moments.
TRAINING_BYTES = {"weights": 4, "gradients": 4, "first moments": 4, "second moments": 4}


@dataclass(frozen=True)
class Inspection:
    """An architecture taken apart.

    Attributes:
        weights: every weight in the order of the forward pass.
        count: the parameters under each convention.
        disk_bytes: size of a checkpoint by precision (bytes).
        training_bytes: what fp32 training with AdamW holds for them, by part (bytes).
    """

    arch: Architecture
    weights: tuple[Weight, ...]
    count: ParameterCount
    disk_bytes: dict[str, int]
    training_bytes: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """The inspection as JSON values, each weight with its formula and totals."""
        rows = [
            {"name": one.name, "formula": one.formula, "each": one.each, "copies": one.copies, "total": one.total}
            for one in self.weights
        ]
        return {
            "architecture": asdict(self.arch),
            "weights": rows,
            "parameters": asdict(self.count),
            "counting_rule": COUNTING_RULE,
            "disk_bytes": self.disk_bytes,
            "training_bytes": self.training_bytes,
        }


def inspect_parameters(arch: Architecture) -> Inspection:
    """Take an architecture apart, weight by weight."""
    count = count_parameters(arch)
    return Inspection(
        arch=arch,
        weights=list_weights(arch),
        count=count,
        disk_bytes={name: size * count.total for name, size in DISK_BYTES.items()},
        training_bytes={name: size * count.total for name, size in TRAINING_BYTES.items()},
    )


def lesson() -> list[str]:
    """Parameters, tokens and model size, explained on a network of 61 parameters and on GPT-2 small."""
    return [*_small_network(), "", *_words(), "", *_gpt2()]


def _small_network() -> list[str]:
    layers = dense_network((10, 5, 1))
    parts = [
        f"  {layer.name}: {layer.inputs} inputs x {layer.outputs} outputs + {layer.outputs} biases = {layer.total}"
        for layer in layers
    ]
    return [
        "A parameter is a number that training adjusts. A layer has one for every pair of an input and an output,",
        "and one bias for every output: inputs x outputs + outputs. With 10 inputs, 5 hidden neurons and 1 output:",
        *parts,
        f"  together {sum(layer.total for layer in layers)} parameters",
    ]


def _words() -> list[str]:
    return [
        "Tokens are the pieces of text that the model reads; they are data and no part of its size. How many it was",
        "trained on says how much it has seen, about 20 for each parameter where compute is spent best.",
        "Model size is parameters times bytes: 4 in fp32, 2 in bf16, 1 in int8. Training with AdamW in fp32 holds 16:",
        "the weight, its gradient, and two running averages.",
    ]


def _gpt2() -> list[str]:
    small = preset("gpt2")
    count = count_parameters(small)
    # The first GPT has no norm behind the last block.
    first = replace(small, vocab_size=40_478, context=512)
    first_total = count_parameters(first).total - 2 * first.dim
    blocks = count.total - count.token_embedding - count.position_embedding
    return [
        f"GPT-2 small has {count.total:,} parameters:",
        f"  token table      {small.vocab_size:,} x {small.dim} = {count.token_embedding:,}",
        f"  position table   {small.context:,} x {small.dim} = {count.position_embedding:,}",
        f"  {small.layers} blocks and the last norm = {blocks:,}",
        "  the head is the token table once more, and adds none",
        "Its paper prints 117M, which the released weights do not bear out. That is the size of the first GPT, with",
        f"the same blocks, a vocabulary of 40,478 and a context of 512: {first_total:,}.",
    ]
