"""What the forward pass keeps for the backward pass, in closed form.

Source: Korthikanti et al. 2022, section 4.1, derived anew for attention without stored scores, shared keys, SwiGLU
and RMSNorm. Under autocast the residual stream and the norms stay fp32, and what matrices read is cast once a
sub-layer; where the whole model is bf16 (DeepSpeed, FSDP with bf16 parameters) everything is.
"""

from dataclasses import dataclass
from typing import Literal

from llmforge.arch.architecture import Architecture

Precision = Literal["fp32", "bf16", "fp16"]
Recompute = Literal["none", "full", "selective"]

FP32, HALF = 4, 2
# The loss is taken over at most this many logits at a time; larger batches are worked through in pieces. A GPU takes
# larger ones: at 2^24, a GPT-2 step on an H100 takes 1.8 times as long as at 2^28, in casts and sums of the head alone.
MAX_LOGITS, MAX_LOGITS_GPU = 1 << 24, 1 << 27


@dataclass(frozen=True)
class Numbers:
    """The numbers that a pass computes with.

    Attributes:
        precision: of the matrix products.
        autocast: whether bf16 or fp16 products stand in an fp32 model; otherwise the whole model is cast.
        max_logits: logits that the loss holds at a time (count); None: all, which are held as the head made them, too.
        keeps_scores: whether attention is made out of matrix products, as in bf16 on a CPU, and keeps its scores.
    """

    precision: Precision = "fp32"
    autocast: bool = True
    max_logits: int | None = MAX_LOGITS
    keeps_scores: bool = False

    @property
    def width(self) -> int:
        """Bytes of a number in matrix products."""
        return width_of(self.precision)

    @property
    def stream(self) -> int:
        """Bytes of a number in the residual stream and in norms."""
        return FP32 if self.autocast else self.width

    @property
    def casts(self) -> bool:
        """Whether products take casts of fp32 numbers, which are kept besides."""
        return self.precision != "fp32" and self.autocast


def width_of(precision: Precision) -> int:
    """Bytes of a number in matrix products."""
    return FP32 if precision == "fp32" else HALF


def block_bytes_per_token(arch: Architecture, numbers: Numbers, tensor: int = 1) -> float:
    """Bytes that one block keeps of one token.

    Args:
        arch: the model.
        numbers: what it computes with.
        tensor: ranks that a block's matrices are split over (count); norms and residual stream are not split.
    """
    width = numbers.width
    query, key = _head_sizes(arch, tensor)
    copies = 2 if arch.positions == "rotary" else 1  # heads turned by angles lie in memory another way than the result
    attention = (query + 2 * key + copies * query) * width + arch.heads / tensor * FP32
    hidden = (4 if arch.activation == "swiglu" else 2) * arch.ffn_dim / tensor * width
    return _norm_bytes(arch, numbers) + attention + hidden + _score_bytes(arch, numbers, tensor)


def _head_sizes(arch: Architecture, tensor: int) -> tuple[float, float]:
    """Widths of all queries, and of all keys, of one tensor rank."""
    return arch.heads * arch.head_dim / tensor, max(arch.kv_heads / tensor, 1) * arch.head_dim


def _score_bytes(arch: Architecture, numbers: Numbers, tensor: int) -> float:
    """Weights over all keys, in place of the sums of their logarithms."""
    if not numbers.keeps_scores:
        return 0
    return arch.heads / tensor * (arch.context * HALF - FP32)


def product_bytes_per_token(arch: Architecture, numbers: Numbers, tensor: int = 1) -> float:
    """Bytes of the results of a block's matrix products, and of attention: what selective recomputing keeps."""
    query, key = _head_sizes(arch, tensor)
    hidden = (2 if arch.activation == "swiglu" else 1) * arch.ffn_dim / tensor
    return (2 * query + 2 * key + 2 * arch.dim + hidden) * numbers.width + arch.heads / tensor * FP32


def _norm_bytes(arch: Architecture, numbers: Numbers) -> float:
    """The norms' inputs (RMSNorm: and what they divided), and their results as inputs of the matrices behind them."""
    norms = 1 if arch.parallel_block else 2
    kept = 2 if arch.norm == "rmsnorm" else 1
    inputs = norms * kept * arch.dim * numbers.stream
    if not numbers.casts:
        return inputs + norms * arch.dim * numbers.stream
    # Attention and feed-forward each convert what their products read once.
    return inputs + 2 * arch.dim * HALF


def kept_bytes(
    arch: Architecture,
    tokens: int,
    layers: int,
    numbers: Numbers,
    *,
    tensor: int = 1,
    recompute: Recompute = "none",
    slices: int = 1,
) -> float:
    """Bytes that some blocks of one forward pass keep.

    Args:
        arch: the model.
        tokens: in the pass (count).
        layers: blocks on this rank (count).
        numbers: what they compute with.
        tensor: ranks that a block's matrices are split over (count).
        recompute: "full" keeps each block's input alone, "selective" the results of its matrix products too.
        slices: tensor ranks that share the sequence between the layers that are split (count).
    """
    if recompute == "none":
        return tokens * layers * block_bytes_per_token(arch, numbers, tensor)
    products = product_bytes_per_token(arch, numbers, tensor) if recompute == "selective" else 0
    return tokens * layers * (arch.dim * numbers.stream / slices + products)


def working_bytes(
    arch: Architecture, tokens: int, numbers: Numbers, *, tensor: int = 1, recompute: Recompute = "none"
) -> float:
    """Bytes that the backward pass of one block holds besides what was kept: what it computes again, and gradients."""
    gradients = (2 * arch.ffn_dim / tensor + 2 * arch.dim) * numbers.width
    again = block_bytes_per_token(arch, numbers, tensor) if recompute != "none" else 0
    kept = product_bytes_per_token(arch, numbers, tensor) if recompute == "selective" else 0
    return tokens * (gradients + again - kept)


def loss_bytes(arch: Architecture, tokens: int, numbers: Numbers, parts: int = 1) -> float:
    """Bytes of the last norm, and of the logits, their logarithms and their gradient, or of the head's gradient.

    Args:
        arch: the model.
        tokens: in the pass (count).
        numbers: what it computes with.
        parts: tensor ranks that each take a part of the vocabulary (count), which makes one more copy of the logits.
    """
    every = tokens * arch.vocab_size
    logits = min(every, numbers.max_logits or every) / parts
    is_chunked = logits * parts < every
    gradient = arch.vocab_size * arch.dim * numbers.stream / parts  # of the head, on its way to be added up
    own = HALF if numbers.precision != "fp32" else 0
    softmax = logits * (3 if parts == 1 else 4) * FP32 + (gradient if is_chunked else 0)
    product = logits * (FP32 + own) + gradient * (2 if is_chunked else 1)
    whole = logits * own if numbers.max_logits is None else 0
    return tokens * arch.dim * (numbers.stream + numbers.width) + whole + max(softmax, product)
