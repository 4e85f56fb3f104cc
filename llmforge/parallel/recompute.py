"""Activation checkpointing: less memory for activations, more time for computing them again.

Source: Chen et al. 2016 (full); Korthikanti et al. 2022, section 5 (selective; here all matrix products are kept).
"""

from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from llmforge.arch.activations import Recompute
from llmforge.model.transformer import Transformer

_KEPT = (
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
)


def recompute_blocks(model: Transformer, kind: Recompute) -> None:
    """Let the backward pass compute each block again: all of it, or all but its matrix products."""
    if kind == "none":
        return
    options: dict[str, Any] = {"use_reentrant": False}
    if kind == "selective":
        options["context_fn"] = partial(create_selective_checkpoint_contexts, _keep_products)
    for block in model.blocks.values():
        # In place of the method, not around the module: parameter names stay what they are.
        block.forward = partial(checkpoint, block.forward, **options)


def _keep_products(_context: object, operation: object, *_args: object, **_kwargs: object) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE
