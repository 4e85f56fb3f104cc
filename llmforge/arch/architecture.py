"""What a transformer is made of, as data: enough to count its parameters and to build it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Architecture:
    """A decoder-only transformer.

    Attributes:
        layers, dim, heads, kv_heads, head_dim, ffn_dim, context: sizes (counts).
        vocab_size: rows of the embedding, padding included (count).
        positions: how order enters; "learned" has a table of `context` rows.
        norm: "layernorm" has scale and bias, "layernorm_no_bias" and "rmsnorm" have a scale only.
        activation: "gelu" is exact, "gelu_tanh" the form of GPT-2's code; "swiglu" has three matrices instead of two.
        bias: whether linear layers have biases (the head never has).
        parallel_block: attention and feed-forward side by side on one norm (PaLM) instead of one after the other.
        embedding_norm: a norm directly after the embedding (BLOOM).
        tied: whether the head is the embedding's transpose.
        dropout: probability, 0 to 1, while training.
        rope_theta: base of the rotary frequencies; unused with other positions.
        vocab_padding: last rows of the embedding that stand for no token; the model never predicts them (count).
        band_tokens: every second block, from the second on, sees only this many last tokens (GPT-3); None: all see all.
    """

    family: Literal["gpt2", "gpt3", "llama2", "palm", "bloom"]
    layers: int
    dim: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_dim: int
    context: int
    vocab_size: int
    positions: Literal["learned", "rotary", "alibi"]
    norm: Literal["layernorm", "layernorm_no_bias", "rmsnorm"]
    norm_eps: float
    activation: Literal["gelu", "gelu_tanh", "swiglu"]
    bias: bool
    parallel_block: bool
    embedding_norm: bool
    tied: bool
    dropout: float = 0.0
    rope_theta: float = 10_000.0
    vocab_padding: int = 0
    band_tokens: int | None = None
