"""Memory of training one process, in closed form: states, activations and the loss, without building the model.

fp32 weights with AdamW throughout; with bf16, matrix products run under autocast and the weights stay fp32.
"""

from dataclasses import dataclass
from typing import Literal

from llmforge.arch.architecture import Architecture
from llmforge.arch.params import count_parameters

_FP32, _BF16 = 4, 2
_ADAM_MOMENTS = 2
# The loss is taken over at most this many logits at a time; larger batches are worked through in pieces.
_MAX_LOGITS = 1 << 24


@dataclass(frozen=True)
class Memory:
    """Bytes of one process at the peak of a step, by what they hold.

    Attributes:
        weights, gradients, optimizer: fp32; the optimizer has two moments.
        activations: what the forward pass keeps for the backward pass.
        loss: logits, their softmax and their gradient, of one piece.
        buffers: what data-parallel processes exchange gradients through.
    """

    weights: int
    gradients: int
    optimizer: int
    activations: int
    loss: int
    buffers: int = 0

    @property
    def total(self) -> int:
        """All of it (bytes)."""
        return self.weights + self.gradients + self.optimizer + self.activations + self.loss + self.buffers


def training_memory(
    arch: Architecture, sequences: int, *, precision: Literal["fp32", "bf16"] = "fp32", data_parallel: int = 1
) -> Memory:
    """Memory of one process.

    Args:
        arch: the model.
        sequences: in one forward pass of a process (count).
        precision: of the matrix products.
        data_parallel: processes with a copy of the model each (count).
    """
    params = count_parameters(arch).total
    tokens = sequences * arch.context
    width = _FP32 if precision == "fp32" else _BF16
    logits = min(tokens * arch.vocab_size, _MAX_LOGITS)
    return Memory(
        weights=_FP32 * params,
        gradients=_FP32 * params,
        optimizer=_ADAM_MOMENTS * _FP32 * params,
        activations=tokens * arch.layers * _layer_bytes_per_token(arch, width),
        loss=3 * _FP32 * logits,
        buffers=_FP32 * params if data_parallel > 1 else 0,
    )


def _layer_bytes_per_token(arch: Architecture, width: int) -> int:
    """What one block keeps of a token for the backward pass, with attention that keeps no scores.

    Source: Korthikanti et al. 2022, section 4.1, derived anew for grouped keys, SwiGLU and norms without scores.
    """
    query, key = arch.heads * arch.head_dim, arch.kv_heads * arch.head_dim
    norms = 1 if arch.parallel_block else 2
    residual = norms * arch.dim * _FP32  # the input of each norm; the residual stream stays fp32
    normed = norms * arch.dim * width  # the input of the matrices behind it
    attention = (2 * query + 2 * key) * width + arch.heads * _FP32  # q, k, v, result; a log-sum for each head
    hidden = (4 if arch.activation == "swiglu" else 2) * arch.ffn_dim * width
    return residual + normed + attention + hidden
