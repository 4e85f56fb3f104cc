"""Sum of token losses, without the logits of a large vocabulary in memory at once.

Shapes: N tokens, C model width, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from llmforge.arch.activations import MAX_LOGITS, MAX_LOGITS_GPU

IGNORE = -100
"""Target of a position that has no loss."""

CrossEntropy = Callable[[Tensor, Tensor], Tensor]
"""Sum of the cross-entropies of logits (N, V) and targets (N)."""


def cross_entropy_sum(logits_NV: Tensor, target_N: Tensor) -> Tensor:
    """Sum of the cross-entropies of all positions whose target is not `IGNORE` (nats, fp32)."""
    return F.cross_entropy(logits_NV.float(), target_N, ignore_index=IGNORE, reduction="sum")


def token_loss_sum(
    logits: Callable[[Tensor], Tensor],
    x_NC: Tensor,
    target_N: Tensor,
    vocab_size: int,
    *,
    cross_entropy: CrossEntropy = cross_entropy_sum,
    max_logits: int | None = None,
) -> Tensor:
    """Sum of the cross-entropies of all positions whose target is not `IGNORE` (nats, fp32).

    Args:
        logits: the head; maps (n, C) to (n, V).
        x_NC: last hidden states.
        target_N: token ids, or `IGNORE`.
        vocab_size: V, which decides the size of a chunk (count).
        cross_entropy: of one chunk.
        max_logits: logits held at a time; more are computed in chunks, and again in the backward pass (count); None:
            what suits the device.
    """

    def chunk_loss(x_NC: Tensor, target_N: Tensor) -> Tensor:
        return cross_entropy(logits(x_NC), target_N)

    if max_logits is None:
        max_logits = MAX_LOGITS_GPU if x_NC.device.type == "cuda" else MAX_LOGITS
    rows = max(1, max_logits // vocab_size)
    if len(x_NC) <= rows:
        return chunk_loss(x_NC, target_N)
    chunks = zip(torch.split(x_NC, rows), torch.split(target_N, rows), strict=True)
    losses = [checkpoint(chunk_loss, x, target, use_reentrant=False) for x, target in chunks]
    return torch.stack(losses).sum()
