"""Sum of token losses, without the logits of a large vocabulary in memory at once.

Shapes: N tokens, C model width, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

IGNORE = -100
"""Target of a position that has no loss."""

_MAX_LOGITS = 1 << 24
"""Logits held at a time (64 MiB in fp32)."""


def token_loss_sum(
    logits: Callable[[Tensor], Tensor],
    x_NC: Tensor,
    target_N: Tensor,
    vocab_size: int,
    *,
    max_logits: int = _MAX_LOGITS,
) -> Tensor:
    """Sum of the cross-entropies of all positions whose target is not `IGNORE` (nats, fp32).

    Args:
        logits: the head; maps (n, C) to (n, V).
        x_NC: last hidden states.
        target_N: token ids, or `IGNORE`.
        vocab_size: V, which decides the size of a chunk (count).
        max_logits: logits held at a time; more are computed in chunks, and again in the backward pass (count).
    """
    rows = max(1, max_logits // vocab_size)
    if len(x_NC) <= rows:
        return _chunk_loss(logits, x_NC, target_N)
    chunks = zip(torch.split(x_NC, rows), torch.split(target_N, rows), strict=True)
    losses = [checkpoint(_chunk_loss, logits, x, target, use_reentrant=False) for x, target in chunks]
    return torch.stack(losses).sum()


def _chunk_loss(logits: Callable[[Tensor], Tensor], x_NC: Tensor, target_N: Tensor) -> Tensor:
    return F.cross_entropy(logits(x_NC).float(), target_N, ignore_index=IGNORE, reduction="sum")
