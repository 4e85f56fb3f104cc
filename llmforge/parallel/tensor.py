"""Tensor parallelism: each rank holds some heads, feed-forward units and tokens of the vocabulary.

What is split is data (`model.layout`); this file says how. A block's split layers need one sum over the tensor ranks
on the way forward and one on the way back, for attention and for the feed-forward part each. With sequence parallelism
the sums become a reduce-scatter and an all-gather: between them every rank keeps a slice of the sequence.

Source: Shoeybi et al. 2019 (Megatron-LM), section 3; Korthikanti et al. 2022, section 4.2.2 (sequence parallelism).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmforge.arch.architecture import Architecture
from llmforge.model.layout import COLUMN_SPLIT, ROW_SPLIT, VOCABULARY_SPLIT
from llmforge.model.loss import IGNORE
from llmforge.model.transformer import Attention, Block, Order, Transformer
from llmforge.parallel.groups import TensorRanks

_SEQUENCE = 1  # the dimension of positions in (B, T, C)
_BIAS_HEADS = -3  # the dimension of heads in (H, T, S) and (B, H, T, S)

Exchange = Callable[[Tensor], Tensor]


def split_dim(name: str, arch: Architecture, tensor: int) -> int | None:
    """The dimension along which tensor ranks split a parameter; None: each holds it whole."""
    module, _, kind = name.rpartition(".")
    if module in VOCABULARY_SPLIT:
        return 0
    if module.endswith(ROW_SPLIT):
        return 1 if kind == "weight" else None
    if not module.endswith(COLUMN_SPLIT) or (_is_key_or_value(module) and arch.kv_heads % tensor):
        return None
    return 0


def is_partial(name: str, arch: Architecture, tensor: int, *, sequence_parallel: bool) -> bool:
    """Whether each tensor rank sees only a part of the gradient of a parameter that it holds whole.

    That is so for keys and values that fewer heads than ranks make, as each rank sees its own queries only, and for
    all that a rank applies to its slice of the sequence.
    """
    if split_dim(name, arch, tensor) is not None or not name.startswith("blocks."):
        return False
    return sequence_parallel or _is_key_or_value(name.rpartition(".")[0])


def _is_key_or_value(module: str) -> bool:
    return module.endswith(("attention.k", "attention.v"))


def split_layers(
    model: Transformer, ranks: TensorRanks, *, sequence_parallel: bool, vocabulary_parallel_loss: bool
) -> None:
    """Reduce a model, or a pipeline stage of one, to this rank's part; call it under `torch.device("meta")`."""
    for block in model.blocks.values():
        assert isinstance(block, Block)
        _split_block(block, model.arch, ranks, sequence_parallel)
    if sequence_parallel:
        first, *_, last = [*model.blocks.values()] * 2
        first.register_forward_pre_hook(partial(_enter_slices, ranks))
        last.register_forward_hook(partial(_leave_slices, ranks))
    if model.embedding is not None:
        model.embedding = VocabularyEmbedding(model.embedding, ranks)
    if model.head is not None:
        _split_head(model, ranks, vocabulary_parallel_loss)
    model.tie()


def _split_block(block: Block, arch: Architecture, ranks: TensorRanks, sequence_parallel: bool) -> None:
    gather: Exchange = partial(_gather_sequence, ranks)
    enter: Exchange = gather if sequence_parallel else partial(_copy, ranks)
    leave: Exchange = partial(_scatter_sum if sequence_parallel else _sum, ranks)
    for name in (*COLUMN_SPLIT, *ROW_SPLIT):
        parent, _, leaf = name.partition(".")
        module = block.get_submodule(parent)
        linear = getattr(module, leaf)
        if linear is None:
            continue
        if name in ROW_SPLIT:
            setattr(module, leaf, RowLinear(linear, ranks, leave))
        elif _is_key_or_value(name) and arch.kv_heads % ranks.size:
            setattr(module, leaf, SharedHeads(linear, arch, ranks))
        else:
            setattr(module, leaf, _local_rows(linear, ranks))
    block.attention.register_forward_pre_hook(partial(_enter_attention, ranks, enter))
    block.ffn.register_forward_pre_hook(lambda _, args: (enter(args[0]),))


def _split_head(model: Transformer, ranks: TensorRanks, vocabulary_parallel_loss: bool) -> None:
    assert model.head is not None
    model.head = _local_rows(model.head, ranks)
    model.head.register_forward_pre_hook(lambda _, args: (_copy(ranks, args[0]),))
    if vocabulary_parallel_loss:
        model.cross_entropy = partial(_cross_entropy_of_parts, ranks, model.arch)
    else:
        size = model.arch.vocab_size
        model.head.register_forward_hook(lambda _, __, logits: _gather(ranks, logits, logits.dim() - 1, size))


def _local_rows(linear: nn.Linear, ranks: TensorRanks) -> nn.Linear:
    """A layer with this rank's outputs only."""
    start, end = ranks.bounds(linear.out_features)
    return nn.Linear(linear.in_features, end - start, bias=linear.bias is not None)


class RowLinear(nn.Module):
    """A layer over this rank's inputs: outputs are summed over the ranks, and the bias belongs to the sum."""

    def __init__(self, linear: nn.Linear, ranks: TensorRanks, leave: Exchange) -> None:
        super().__init__()
        start, end = ranks.bounds(linear.in_features)
        self.weight = nn.Parameter(torch.empty(linear.out_features, end - start))
        self.bias = None if linear.bias is None else nn.Parameter(torch.empty(linear.out_features))
        self._leave = leave

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        summed = self._leave(F.linear(x, self.weight))
        return summed if self.bias is None else summed + self.bias.to(summed.dtype)


class SharedHeads(nn.Module):
    """Keys or values of fewer heads than ranks: each rank holds all weights and computes what its queries look at."""

    def __init__(self, linear: nn.Linear, arch: Architecture, ranks: TensorRanks) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty_like(linear.weight))
        self.bias = None if linear.bias is None else nn.Parameter(torch.empty_like(linear.bias))
        self._kv_heads = arch.kv_heads
        per_head = arch.heads // arch.kv_heads
        wanted = [head // per_head for head in range(*ranks.bounds(arch.heads))]
        distinct = sorted(set(wanted))
        even = len({wanted.count(head) for head in distinct}) == 1
        self._heads = distinct if even else wanted

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return F.linear(x, self._rows(self.weight), None if self.bias is None else self._rows(self.bias))

    def _rows(self, parameter: Tensor) -> Tensor:
        return torch.unflatten(parameter, 0, (self._kv_heads, -1))[self._heads].flatten(0, 1)


class VocabularyEmbedding(nn.Embedding):
    """Rows of this rank's tokens; the others come as zeros from here, and from their own rank in the sum."""

    def __init__(self, embedding: nn.Embedding, ranks: TensorRanks) -> None:
        self._start, self._end = ranks.bounds(embedding.num_embeddings)
        super().__init__(self._end - self._start, embedding.embedding_dim)
        self._ranks = ranks

    def forward(self, tokens: Tensor) -> Tensor:
        """Look the tokens up."""
        absent = (tokens < self._start) | (tokens >= self._end)
        rows = super().forward((tokens - self._start).masked_fill(absent, 0))
        return _sum(self._ranks, rows.masked_fill(absent[..., None], 0.0))


def _enter_attention(ranks: TensorRanks, enter: Exchange, _: Attention, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Bring the whole sequence in, and leave of ALiBi's penalties those of this rank's heads."""
    x_BTC, order, cache = args
    return enter(x_BTC), _local_heads(order, ranks), cache


def _local_heads(order: Order, ranks: TensorRanks) -> Order:
    def local(bias: Tensor | None) -> Tensor | None:
        if bias is None or bias.dim() < 3 or bias.shape[_BIAS_HEADS] == 1:
            return bias
        return ranks.part(bias, _BIAS_HEADS)

    return replace(order, full_bias=local(order.full_bias), banded_bias=local(order.banded_bias))


def _enter_slices(ranks: TensorRanks, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """From here on each rank has other positions, and draws its own dropout."""
    torch.manual_seed(torch.initial_seed() + 1 + ranks.rank)
    return _slice_sequence(ranks, args[0]), *args[1:]


def _leave_slices(ranks: TensorRanks, _: nn.Module, __: object, x_BTC: Tensor) -> Tensor:
    return _gather(ranks, x_BTC, _SEQUENCE, x_BTC.shape[_SEQUENCE] * ranks.size)


def _cross_entropy_of_parts(ranks: TensorRanks, arch: Architecture, logits_NV: Tensor, target_N: Tensor) -> Tensor:
    """Sum of cross-entropies where each rank has the logits of its own tokens; the same on all ranks."""
    start, end = ranks.bounds(arch.vocab_size)
    token_V = torch.arange(start, end, device=logits_NV.device)
    logits_NV = logits_NV.float().masked_fill(token_V >= arch.vocab_size - arch.vocab_padding, -torch.inf)
    shifted_NV = logits_NV - ranks.largest(logits_NV.detach().amax(-1, keepdim=True))
    here_N = (target_N >= start) & (target_N < end)
    column_N = torch.where(here_N, target_N - start, 0)
    chosen_N = torch.where(here_N, shifted_NV.gather(1, column_N[:, None])[:, 0], 0.0)
    loss_N = _sum(ranks, shifted_NV.exp().sum(-1)).log() - _sum(ranks, chosen_N)
    return torch.where(target_N == IGNORE, 0.0, loss_N).sum()


class _Exchange(torch.autograd.Function):
    """One exchange on the way forward, another one for the gradient on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, there: Exchange, back: Exchange) -> Tensor:
        ctx.back = back
        return there(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return ctx.back(gradient), None, None


def _exchange(x: Tensor, there: Exchange, back: Exchange) -> Tensor:
    exchanged: Tensor = _Exchange.apply(x, there, back)  # type: ignore[no-untyped-call]
    return exchanged


def _same(x: Tensor) -> Tensor:
    return x.view_as(x)


def _copy(ranks: TensorRanks, x: Tensor) -> Tensor:
    return _exchange(x, _same, ranks.total)


def _sum(ranks: TensorRanks, x: Tensor) -> Tensor:
    return _exchange(x, ranks.total, _same)


def _gather(ranks: TensorRanks, x: Tensor, dim: int, length: int) -> Tensor:
    return _exchange(x, lambda part: ranks.full(part, dim, length), lambda gradient: ranks.part(gradient, dim))


def _slice_sequence(ranks: TensorRanks, x: Tensor) -> Tensor:
    length = x.shape[_SEQUENCE]
    return _exchange(
        x, lambda full: ranks.part(full, _SEQUENCE), lambda gradient: ranks.full(gradient, _SEQUENCE, length)
    )


def _gather_sequence(ranks: TensorRanks, x: Tensor) -> Tensor:
    length = x.shape[_SEQUENCE] * ranks.size
    return _exchange(x, lambda part: ranks.full(part, _SEQUENCE, length), lambda g: ranks.total_part(g, _SEQUENCE))


def _scatter_sum(ranks: TensorRanks, x: Tensor) -> Tensor:
    length = x.shape[_SEQUENCE]
    return _exchange(x, lambda full: ranks.total_part(full, _SEQUENCE), lambda g: ranks.full(g, _SEQUENCE, length))
