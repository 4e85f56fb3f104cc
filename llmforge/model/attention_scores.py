"""Attention by the fastest way that a device has for it.

Shapes: B batch, T queries, S keys, H heads, K key and value heads, D head size.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Scores of all heads are in memory at once; up to here they stay in a processor's cache for the most part.
_MAX_MATRIX_KEYS = 1024


def attend(q_BHTD: Tensor, k_BKSD: Tensor, v_BKSD: Tensor, bias: Tensor | None, dropout_p: float) -> Tensor:
    """Values mixed by the softmax of the scores; each key and value head serves H / K query heads in a row.

    In bf16 on a CPU, the backward pass of the library's fused kernel takes four times as long as in fp32 (torch 2.13),
    and plain matrix products, which use the processor's bf16 units, half as long: there, attention is made of these.

    Args:
        bias: added to the scores, one for all sequences and heads or one each; None: plain causal attention.
        dropout_p: share of the weights that is dropped.
    """
    shared = q_BHTD.shape[1] // k_BKSD.shape[1]
    if q_BHTD.shape[2] == k_BKSD.shape[2] and wants_matrices(q_BHTD, k_BKSD.shape[2]):
        k_BHSD, v_BHSD = (_repeat(tensor, shared) for tensor in (k_BKSD, v_BKSD))
        return _attend_by_matrices(q_BHTD, k_BHSD, v_BHSD, bias, dropout_p)
    if not _kernel_shares_heads(q_BHTD, bias):
        k_BKSD, v_BKSD = (_repeat(tensor, shared) for tensor in (k_BKSD, v_BKSD))
    return F.scaled_dot_product_attention(
        q_BHTD,
        k_BKSD,
        v_BKSD,
        attn_mask=None if bias is None else bias.to(q_BHTD.dtype),
        is_causal=bias is None and q_BHTD.shape[2] > 1,
        dropout_p=dropout_p,
        enable_gqa=q_BHTD.shape[1] != k_BKSD.shape[1],
    )


def wants_matrices(x: Tensor, num_keys: int) -> bool:
    """Whether attention over so many keys is made of matrix products, where numbers and device are those of `x`."""
    return x.device.type == "cpu" and x.dtype == torch.bfloat16 and num_keys <= _MAX_MATRIX_KEYS


def _repeat(x_BKSD: Tensor, times: int) -> Tensor:
    return x_BKSD if times == 1 else x_BKSD.repeat_interleave(times, dim=1)


def _kernel_shares_heads(q_BHTD: Tensor, bias: Tensor | None) -> bool:
    """Whether the library's kernel takes fewer key heads than query heads.

    Of a GPU's fused kernels only flash attention can, and it takes neither a bias nor fp32; without one that fits, the
    library keeps the scores of all heads in memory.
    """
    return q_BHTD.device.type != "cuda" or (bias is None and q_BHTD.dtype != torch.float32)


def _attend_by_matrices(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, dropout_p: float) -> Tensor:
    num_keys, head_dim = k.shape[-2:]
    if bias is None:
        bias = torch.full((num_keys, num_keys), -math.inf, dtype=q.dtype).triu_(1)
    with torch.autocast("cpu", enabled=False):  # which would have the softmax in fp32: its sums are that anyway
        scores = (q * head_dim**-0.5) @ k.mT + bias.to(q.dtype)
        return F.dropout(torch.softmax(scores, dim=-1), dropout_p) @ v
