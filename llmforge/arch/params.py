"""Exact parameter counts, matrix by matrix, for every architecture.

The counting rule, stated once: `total` is every number that a checkpoint holds, with the padding of the vocabulary,
and with a tied head counted once, as the embedding. `without_embeddings` leaves out the token table, the position
table and an untied head. Norm scales count, though some papers leave them out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from llmforge.arch.architecture import Architecture

COUNTING_RULE = (
    "all trained numbers: embeddings and vocabulary padding included, a tied head counted once, norm scales included"
)

Role = Literal["embedding", "matrix", "norm", "head"]


@dataclass(frozen=True)
class Weight:
    """One weight matrix (or norm) with its bias, and how often the model has it.

    Attributes:
        name: module of the built model; `*` stands for the number of the block.
        role: "embedding" is looked up, "matrix" and "head" multiply every token, "norm" scales.
        inputs, outputs: sizes; a norm has one input and a scale for every output.
        bias: whether `outputs` more numbers are added.
        copies: layers that have it (count).
    """

    name: str
    role: Role
    inputs: int
    outputs: int
    bias: bool
    copies: int = 1

    @property
    def each(self) -> int:
        """Parameters of one copy: inputs x outputs + outputs."""
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)

    @property
    def total(self) -> int:
        """Parameters of all copies."""
        return self.each * self.copies

    @property
    def in_block(self) -> bool:
        """Whether every layer has one."""
        return self.name.startswith("blocks.")

    @property
    def formula(self) -> str:
        """How `each` comes about, in numbers."""
        product = f"{self.outputs:,}" if self.role == "norm" else f"{self.inputs:,} x {self.outputs:,}"
        return f"{product} + {self.outputs:,}" if self.bias else product


@dataclass(frozen=True)
class ParameterCount:
    """The parameters of a model under the conventions in use; `COUNTING_RULE` is the one that llmforge plans with.

    Attributes:
        total: every number in a checkpoint.
        without_embeddings: without token table, position table and untied head (Kaplan, Step Law).
        multiplied: numbers that multiply every token, a tied head too: what FLOPs follow.
        token_embedding, position_embedding, head, norms, biases: parts of `total`; a tied head is 0.
    """

    total: int
    without_embeddings: int
    multiplied: int
    token_embedding: int
    position_embedding: int
    head: int
    norms: int
    biases: int


def list_weights(arch: Architecture) -> tuple[Weight, ...]:
    """Every weight of the architecture, in the order of the forward pass.

    Source: Radford et al. 2019 (GPT-2), Brown et al. 2020 (GPT-3), Touvron et al. 2023 (Llama 2), Chowdhery et al.
    2022 (PaLM), Scao et al. 2022 (BLOOM); sizes as in the released code where the papers leave them open.
    """
    norm_bias = arch.norm == "layernorm"
    weights = [Weight("embedding", "embedding", arch.vocab_size, arch.dim, False)]
    if arch.positions == "learned":
        weights.append(Weight("position", "embedding", arch.context, arch.dim, False))
    if arch.embedding_norm:
        weights.append(Weight("embedding_norm", "norm", 1, arch.dim, norm_bias))
    weights += _block_weights(arch, norm_bias)
    weights.append(Weight("final_norm", "norm", 1, arch.dim, norm_bias))
    if not arch.tied:
        weights.append(Weight("head", "head", arch.dim, arch.vocab_size, False))
    return tuple(weights)


def _block_weights(arch: Architecture, norm_bias: bool) -> list[Weight]:
    """The weights of a block; a parallel block has one norm for attention and feed-forward together."""
    dim, copies = arch.dim, arch.layers
    query, key = arch.heads * arch.head_dim, arch.kv_heads * arch.head_dim
    matrices = [
        ("attention.q", dim, query),
        ("attention.k", dim, key),
        ("attention.v", dim, key),
        ("attention.out", query, dim),
    ]
    if arch.activation == "swiglu":
        matrices.append(("ffn.gate", dim, arch.ffn_dim))
    matrices += [("ffn.up", dim, arch.ffn_dim), ("ffn.down", arch.ffn_dim, dim)]
    norms = ("attention_norm",) if arch.parallel_block else ("attention_norm", "ffn_norm")
    return [Weight(f"blocks.*.{name}", "norm", 1, dim, norm_bias, copies) for name in norms] + [
        Weight(f"blocks.*.{name}", "matrix", inputs, outputs, arch.bias, copies) for name, inputs, outputs in matrices
    ]


def count_parameters(arch: Architecture) -> ParameterCount:
    """Count an architecture's parameters exactly, under each convention."""
    weights = list_weights(arch)
    by_name = {weight.name: weight.total for weight in weights}
    tokens, head = by_name["embedding"], by_name.get("head", 0)
    positions = by_name.get("position", 0)
    total = sum(by_name.values())
    products = sum(weight.inputs * weight.outputs * weight.copies for weight in weights if weight.role == "matrix")
    return ParameterCount(
        total=total,
        without_embeddings=total - tokens - positions - head,
        multiplied=products + arch.dim * arch.vocab_size,
        token_embedding=tokens,
        position_embedding=positions,
        head=head,
        norms=sum(weight.total for weight in weights if weight.role == "norm"),
        biases=sum(weight.outputs * weight.copies for weight in weights if weight.role == "matrix" and weight.bias),
    )


def dense_network(sizes: Sequence[int]) -> tuple[Weight, ...]:
    """A plain network of layers of neurons: the small example that explains what a parameter is.

    Args:
        sizes: neurons of each layer, inputs first; (10, 5, 1) has 61 parameters.

    Raises: ValueError if there are fewer than two layers, or a layer without neurons.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(f"a network needs an input and an output layer with neurons; got {list(sizes)}")
    return tuple(
        Weight(f"layer {place}", "matrix", inputs, outputs, True)
        for place, (inputs, outputs) in enumerate(pairwise(sizes), start=1)
    )
