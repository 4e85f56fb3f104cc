"""What the forward pass keeps for the backward pass, in closed form.

Source: Korthikanti et al. 2022, section 4.1, derived anew for attention without stored scores, shared keys, SwiGLU,
RMSNorm and autocast, which casts its input once for every matrix. The residual stream and
the norms stay fp32. On a CPU, bf16 attention out of matrix products keeps its scores besides; they are not counted.
"""

from typing import Literal

from llmforge.arch.architecture import Architecture

Precision = Literal["fp32", "bf16"]

FP32, BF16 = 4, 2
# The loss is taken over at most this many logits at a time; larger batches are worked through in pieces.
MAX_LOGITS = 1 << 24


def width_of(precision: Precision) -> int:
    """Bytes of a number in matrix products."""
    return FP32 if precision == "fp32" else BF16


def block_bytes_per_token(arch: Architecture, precision: Precision, tensor: int = 1) -> float:
    """Bytes that one block keeps of one token.

    Args:
        arch: the model.
        precision: of the matrix products.
        tensor: ranks that a block's matrices are split over (count); norms and residual stream are not split.
    """
    width = width_of(precision)
    query = arch.heads * arch.head_dim / tensor
    key = max(arch.kv_heads / tensor, 1) * arch.head_dim
    copies = 2 if arch.positions == "rotary" else 1  # heads turned by angles lie in memory another way than the result
    attention = (query + 2 * key + copies * query) * width + arch.heads / tensor * FP32
    hidden = (4 if arch.activation == "swiglu" else 2) * arch.ffn_dim / tensor * width
    return _norm_bytes(arch, precision) + attention + hidden


def _norm_bytes(arch: Architecture, precision: Precision) -> float:
    """The norms' inputs (RMSNorm: and what they divided), and their results as inputs of the matrices behind them."""
    norms = 1 if arch.parallel_block else 2
    kept = 2 if arch.norm == "rmsnorm" else 1
    inputs = norms * kept * arch.dim * FP32
    if precision == "fp32":
        return inputs + norms * arch.dim * FP32
    matrices = 3 + (2 if arch.activation == "swiglu" else 1)
    return inputs + matrices * arch.dim * BF16


def activation_bytes(
    arch: Architecture, tokens: int, layers: int, precision: Precision, *, tensor: int = 1, recompute: bool = False
) -> float:
    """Bytes kept by some blocks of one forward pass.

    Args:
        arch: the model.
        tokens: in the pass (count).
        layers: blocks on this rank (count).
        precision: of the matrix products.
        tensor: ranks that a block's matrices are split over (count).
        recompute: keep only each block's input, and compute a block again when its backward pass comes.
    """
    block = block_bytes_per_token(arch, precision, tensor)
    if recompute:
        return tokens * (layers * arch.dim * FP32 + block)
    return tokens * layers * block


def loss_bytes(arch: Architecture, tokens: int, precision: Precision, tensor: int = 1) -> float:
    """Bytes of the last norm, the logits, their logarithms and their gradient, of one piece of the batch."""
    logits = min(tokens * arch.vocab_size, MAX_LOGITS) / tensor
    copy = BF16 if precision == "bf16" else 0  # the head's own result, before the loss turns it into fp32
    return tokens * arch.dim * (FP32 + width_of(precision)) + logits * (3 * FP32 + copy)
