"""One decoder-only transformer for all families; an `Architecture` says what it is made of.

Shapes: B batch, T positions of this pass, S positions that keys stand at, C model width, H heads, K key and value
heads, D head size, F feed-forward width, V tokens of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmforge.arch.architecture import Architecture
from llmforge.model import attention_scores
from llmforge.model.cache import KeyValueCache
from llmforge.model.loss import CrossEntropy, cross_entropy_sum, token_loss_sum
from llmforge.model.positions import attention_bias, places_in_documents, rotary_angles, rotate


@dataclass(frozen=True)
class Order:
    """What attention needs to know of positions, once for all blocks.

    Attributes:
        angles_TR: rotary cosines and sines of the positions of this pass; None without rotary positions.
        full_bias, banded_bias: score biases of the two kinds of blocks; None stands for plain causal attention.
    """

    angles_TR: tuple[Tensor, Tensor] | None
    full_bias: Tensor | None
    banded_bias: Tensor | None


def _norm(arch: Architecture) -> nn.Module:
    if arch.norm == "rmsnorm":
        return nn.RMSNorm(arch.dim, eps=arch.norm_eps)
    return nn.LayerNorm(arch.dim, eps=arch.norm_eps, bias=arch.norm == "layernorm")


def _for_products(x: Tensor) -> Tensor:
    """In the precision that autocast has for matrix products: converted once, not by each product that reads it."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def _are_plain(linears: Sequence[nn.Linear]) -> bool:
    """Whether training may read weights past their layers: these are of the usual kind, and no hook fetches them."""
    return torch.is_grad_enabled() and all(
        type(linear) is nn.Linear and not (linear._forward_pre_hooks or linear._forward_hooks) for linear in linears
    )


class Attention(nn.Module):
    """Causal self-attention; several query heads may share a key and value head."""

    def __init__(self, arch: Architecture, *, block: str, banded: bool) -> None:
        super().__init__()
        self.arch, self.block, self.banded = arch, block, banded
        self.q = nn.Linear(arch.dim, arch.heads * arch.head_dim, bias=arch.bias)
        self.k = nn.Linear(arch.dim, arch.kv_heads * arch.head_dim, bias=arch.bias)
        self.v = nn.Linear(arch.dim, arch.kv_heads * arch.head_dim, bias=arch.bias)
        self.out = nn.Linear(arch.heads * arch.head_dim, arch.dim, bias=arch.bias)

    def forward(self, x_BTC: Tensor, order: Order, cache: KeyValueCache | None) -> Tensor:
        """Mix each position with those before it."""
        q_BHTD, k_BKSD, v_BKSD = (self._by_head(part) for part in self._project(_for_products(x_BTC)))
        if order.angles_TR is not None:
            q_BHTD, k_BKSD = rotate(q_BHTD, order.angles_TR), rotate(k_BKSD, order.angles_TR)
        if cache is not None:
            k_BKSD, v_BKSD = cache.append(self.block, k_BKSD, v_BKSD)
        bias = order.banded_bias if self.banded else order.full_bias
        dropout_p = self.arch.dropout if self.training else 0.0
        mixed_BHTD = attention_scores.attend(q_BHTD, k_BKSD, v_BKSD, bias, dropout_p)
        out_BTC: Tensor = self.out(mixed_BHTD.transpose(1, 2).flatten(2))
        return out_BTC

    def _project(self, x_BTC: Tensor) -> Sequence[Tensor]:
        """Queries, keys and values: by one product where attention is made of matrices, else by three.

        In bf16 on a CPU a small product costs more to begin than to compute. The library's attention would keep all of
        the one result for the values' sake.
        """
        linears = (self.q, self.k, self.v)
        if not (attention_scores.wants_matrices(x_BTC, x_BTC.shape[1]) and _are_plain(linears)):
            return [linear(x_BTC) for linear in linears]
        weight = torch.cat([linear.weight for linear in linears])
        bias = torch.cat([linear.bias for linear in linears]) if self.arch.bias else None
        widths = [linear.out_features for linear in linears]
        return torch.split(F.linear(x_BTC, weight, bias), widths, dim=-1)

    def _by_head(self, x_BTC: Tensor) -> Tensor:
        return torch.unflatten(x_BTC, -1, (-1, self.arch.head_dim)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two matrices with GELU between, or SwiGLU's three."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.up = nn.Linear(arch.dim, arch.ffn_dim, bias=arch.bias)
        self.gate = nn.Linear(arch.dim, arch.ffn_dim, bias=arch.bias) if arch.activation == "swiglu" else None
        self.down = nn.Linear(arch.ffn_dim, arch.dim, bias=arch.bias)
        self._gelu = partial(F.gelu, approximate="tanh" if arch.activation == "gelu_tanh" else "none")

    def forward(self, x_BTC: Tensor) -> Tensor:
        """Transform each position by itself."""
        x_BTC = _for_products(x_BTC)
        up_BTF = self.up(x_BTC)
        active_BTF = self._gelu(up_BTF) if self.gate is None else F.silu(self.gate(x_BTC)) * up_BTF
        down_BTC: Tensor = self.down(active_BTF)
        return down_BTC


class Block(nn.Module):
    """Attention and feed-forward on a residual stream, one after the other or side by side (PaLM)."""

    def __init__(self, arch: Architecture, index: int) -> None:
        super().__init__()
        self.dropout = arch.dropout
        self.attention_norm = _norm(arch)
        self.attention = Attention(arch, block=str(index), banded=arch.band_tokens is not None and index % 2 == 1)
        self.ffn_norm = None if arch.parallel_block else _norm(arch)
        self.ffn = FeedForward(arch)

    def forward(self, x_BTC: Tensor, order: Order, cache: KeyValueCache | None) -> Tensor:
        """Add attention and feed-forward to the residual stream."""
        normed_BTC = self.attention_norm(x_BTC)
        attended_BTC = self._drop(self.attention(normed_BTC, order, cache))
        if self.ffn_norm is None:
            return x_BTC + attended_BTC + self._drop(self.ffn(normed_BTC))
        x_BTC = x_BTC + attended_BTC
        return x_BTC + self._drop(self.ffn(self.ffn_norm(x_BTC)))

    def _drop(self, x_BTC: Tensor) -> Tensor:
        return F.dropout(x_BTC, self.dropout, self.training)


class Transformer(nn.Module):
    """Embedding, blocks and head.

    A pipeline stage is the same module with the parts that `layout` names for other stages set to None, and fewer
    blocks: what it is given, and what it returns, is then a hidden state.
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.cross_entropy: CrossEntropy = cross_entropy_sum
        self.embedding: nn.Embedding | None = nn.Embedding(arch.vocab_size, arch.dim)
        self.position = nn.Embedding(arch.context, arch.dim) if arch.positions == "learned" else None
        self.embedding_norm = _norm(arch) if arch.embedding_norm else None
        self.blocks = nn.ModuleDict({str(index): Block(arch, index) for index in range(arch.layers)})
        self.final_norm: nn.Module | None = _norm(arch)
        self.head: nn.Linear | None = nn.Linear(arch.dim, arch.vocab_size, bias=False)
        self.tie()

    def tie(self) -> None:
        """Make embedding and head one parameter, if the architecture says so; again after parameters were replaced."""
        if self.arch.tied and self.head is not None and self.embedding is not None:
            self.head.weight = self.embedding.weight

    def forward(
        self,
        x: Tensor,
        targets_BT: Tensor | None = None,
        cache: KeyValueCache | None = None,
        documents_BT: Tensor | None = None,
    ) -> Tensor:
        """Logits, or the sum of the token losses.

        Args:
            x: token ids (B, T); hidden states (B, T, C) in a pipeline stage without the embedding.
            targets_BT: tokens that follow, `loss.IGNORE` where there is no loss; None: return logits.
            cache: what earlier passes read; this pass goes on behind it.
            documents_BT: the document mask, int64: tokens see only those before them that have their number, and
                learned positions begin anew where the number changes; None: a sequence is one document.

        Returns: logits (B, T, V) of real tokens (padding of the vocabulary is never predicted), or the loss sum (nats,
            fp32), or hidden states (B, T, C) in a stage without the head.
        """
        start = cache.num_tokens if cache is not None else 0
        key_S = torch.arange(start + x.shape[1], device=x.device)
        query_T = key_S[start:]
        places = query_T if documents_BT is None else places_in_documents(documents_BT)
        x_BTC = self._embed(x, places) if self.embedding is not None else x
        order = self._order(query_T, key_S, documents_BT)
        for block in self.blocks.values():
            x_BTC = block(x_BTC, order, cache)
        if self.final_norm is None or self.head is None:
            return x_BTC
        x_BTC = self.final_norm(x_BTC)
        if targets_BT is None:
            return self._logits(x_BTC)
        return token_loss_sum(
            self._logits,
            x_BTC.flatten(0, 1),
            targets_BT.flatten(),
            self.arch.vocab_size,
            cross_entropy=self.cross_entropy,
        )

    def _embed(self, tokens_BT: Tensor, places: Tensor) -> Tensor:
        assert self.embedding is not None
        x_BTC = self.embedding(tokens_BT)
        if self.position is not None:
            x_BTC = x_BTC + self.position(places)
        if self.embedding_norm is not None:
            x_BTC = self.embedding_norm(x_BTC)
        return F.dropout(x_BTC, self.arch.dropout, self.training)

    def _order(self, query_T: Tensor, key_S: Tensor, documents_BT: Tensor | None) -> Order:
        arch = self.arch
        # Rotary positions and ALiBi tell distances only, which are the same wherever a document begins.
        angles = rotary_angles(query_T, arch.head_dim, arch.rope_theta) if arch.positions == "rotary" else None
        full = attention_bias(arch, query_T, key_S, banded=False, documents_BT=documents_BT)
        if not arch.band_tokens:
            return Order(angles, full, full)
        banded = attention_bias(arch, query_T, key_S, banded=True, documents_BT=documents_BT)
        return Order(angles, full, banded)

    def _logits(self, x: Tensor) -> Tensor:
        assert self.head is not None
        logits: Tensor = self.head(x)
        return logits[..., : self.arch.vocab_size - self.arch.vocab_padding]
