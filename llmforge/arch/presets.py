"""Named architectures: every published size of the five families, and small ones that train on a CPU.

Sizes follow the papers' tables: GPT-2 (Radford et al. 2019, table 2), GPT-3 (Brown et al. 2020, table 2.1), Llama 2
(Touvron et al. 2023, with the feed-forward widths of the released weights), PaLM (Chowdhery et al. 2022, table 1) and
BLOOM (Scao et al. 2022, table 3, and the released smaller models). nanoGPT's two are those of its README.
"""

import difflib
from dataclasses import replace

from llmforge.arch.architecture import Architecture
from llmforge.config.model import ModelSection
from llmforge.core.errors import SettingsError

# The paper leaves the width of GPT-3's bands open; 256 is what GPT-Neo took for the same alternation.
_GPT3_BAND_TOKENS = 256


def _gpt2(layers: int, dim: int, heads: int, context: int = 1024) -> Architecture:
    return Architecture(
        family="gpt2",
        layers=layers,
        dim=dim,
        heads=heads,
        kv_heads=heads,
        head_dim=dim // heads,
        ffn_dim=4 * dim,
        context=context,
        vocab_size=50_257,
        positions="learned",
        norm="layernorm",
        norm_eps=1e-5,
        activation="gelu_tanh",
        bias=True,
        parallel_block=False,
        embedding_norm=False,
        tied=True,
    )


def _nanogpt(layers: int, dim: int, heads: int, context: int) -> Architecture:
    """GPT-2 as nanoGPT trains it on characters: no biases, and the exact GELU."""
    base = replace(_gpt2(layers, dim, heads, context), vocab_size=65)
    return replace(base, norm="layernorm_no_bias", activation="gelu", bias=False)


def _gpt3(layers: int, dim: int, heads: int, context: int = 2048, band_tokens: int = _GPT3_BAND_TOKENS) -> Architecture:
    return replace(_gpt2(layers, dim, heads, context), family="gpt3", band_tokens=band_tokens)


def _llama2(layers: int, dim: int, heads: int, kv_heads: int, ffn_dim: int, context: int = 4096) -> Architecture:
    return replace(
        _gpt2(layers, dim, heads, context),
        family="llama2",
        kv_heads=kv_heads,
        ffn_dim=ffn_dim,
        vocab_size=32_000,
        positions="rotary",
        norm="rmsnorm",
        activation="swiglu",
        bias=False,
        tied=False,
    )


def _palm(layers: int, dim: int, heads: int, head_dim: int, context: int = 2048) -> Architecture:
    return replace(
        _gpt2(layers, dim, heads, context),
        family="palm",
        kv_heads=1,
        head_dim=head_dim,
        vocab_size=256_000,
        positions="rotary",
        norm="layernorm_no_bias",
        activation="swiglu",
        bias=False,
        parallel_block=True,
    )


def _bloom(layers: int, dim: int, heads: int, context: int = 2048) -> Architecture:
    return replace(
        _gpt2(layers, dim, heads, context),
        family="bloom",
        vocab_size=250_880,
        positions="alibi",
        embedding_norm=True,
    )


PRESETS: dict[str, Architecture] = {
    "gpt2": _gpt2(12, 768, 12),
    "gpt2-medium": _gpt2(24, 1024, 16),
    "gpt2-large": _gpt2(36, 1280, 20),
    "gpt2-xl": _gpt2(48, 1600, 25),
    "gpt2-nano": _gpt2(2, 64, 4, 64),
    "gpt2-tiny": _gpt2(4, 128, 4, 128),
    "gpt2-mini": _gpt2(6, 384, 6, 256),
    "nanogpt-cpu": _nanogpt(4, 128, 4, 64),
    "nanogpt-char": _nanogpt(6, 384, 6, 256),
    "gpt3-125m": _gpt3(12, 768, 12),
    "gpt3-350m": _gpt3(24, 1024, 16),
    "gpt3-760m": _gpt3(24, 1536, 16),
    # The paper's table says 24 heads of 128 here; only 16 make its width of 2048 and its 1.3 billion parameters.
    "gpt3-1.3b": _gpt3(24, 2048, 16),
    "gpt3-2.7b": _gpt3(32, 2560, 32),
    "gpt3-6.7b": _gpt3(32, 4096, 32),
    # The paper's table says a width of 5140 here, which its 40 heads of 128 do not make.
    "gpt3-13b": _gpt3(40, 5120, 40),
    "gpt3-175b": _gpt3(96, 12_288, 96),
    "gpt3-nano": _gpt3(2, 64, 4, 64, band_tokens=16),
    "gpt3-tiny": _gpt3(4, 128, 4, 128, band_tokens=32),
    "gpt3-mini": _gpt3(6, 384, 6, 256, band_tokens=64),
    "llama2-7b": _llama2(32, 4096, 32, 32, 11_008),
    "llama2-13b": _llama2(40, 5120, 40, 40, 13_824),
    "llama2-34b": _llama2(48, 8192, 64, 8, 22_016),
    "llama2-70b": _llama2(80, 8192, 64, 8, 28_672),
    "llama2-nano": _llama2(2, 64, 4, 2, 192, 64),
    "llama2-tiny": _llama2(4, 128, 4, 2, 352, 128),
    "llama2-mini": _llama2(6, 384, 6, 2, 1024, 256),
    "palm-8b": _palm(32, 4096, 16, 256),
    "palm-62b": _palm(64, 8192, 32, 256),
    "palm-540b": _palm(118, 18_432, 48, 256),
    "palm-nano": _palm(2, 64, 4, 16, 64),
    "palm-tiny": _palm(4, 128, 4, 32, 128),
    "palm-mini": _palm(6, 384, 6, 64, 256),
    "bloom-560m": _bloom(24, 1024, 16),
    "bloom-1b1": _bloom(24, 1536, 16),
    "bloom-1b7": _bloom(24, 2048, 16),
    "bloom-3b": _bloom(30, 2560, 32),
    "bloom-7b1": _bloom(30, 4096, 32),
    "bloom-176b": _bloom(70, 14_336, 112),
    "bloom-nano": _bloom(2, 64, 4, 64),
    "bloom-tiny": _bloom(4, 128, 4, 128),
    "bloom-mini": _bloom(6, 384, 6, 256),
}


def preset(name: str) -> Architecture:
    """The architecture of that name, with the vocabulary that was published for it.

    Raises: SettingsError with the nearest name if there is none.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.4)
        raise SettingsError(
            f"model.preset: there is no preset '{name}'; allowed: {', '.join(PRESETS)}",
            f"did you mean '{near[0]}'?" if near else None,
        )
    return PRESETS[name]


def family_of(model: ModelSection) -> str:
    """The preset whose proportions a model has: GPT-2's where none is named."""
    return "gpt2" if model.preset == "auto" else model.preset


def resolve_architecture(model: ModelSection, vocab_size: int) -> Architecture:
    """The preset with the sizes that the settings give.

    Sizes that are left open follow the preset: the size of a head, the share of key and value heads, and the ratio
    of feed-forward width to model width.

    Args:
        model: the settings.
        vocab_size: entries of the tokenizer, which is padded to `vocab_multiple` (count).

    Raises: SettingsError if there is no such preset, or the sizes do not fit together.
    """
    base = preset(family_of(model))
    dim = model.dim or base.dim
    heads = model.heads or _heads(base, dim)
    head_dim = base.head_dim if (dim, heads) == (base.dim, base.heads) else _head_dim(dim, heads)
    padding = -vocab_size % model.vocab_multiple
    arch = replace(
        base,
        layers=model.layers or base.layers,
        dim=dim,
        heads=heads,
        kv_heads=model.kv_heads or max(1, heads * base.kv_heads // base.heads),
        head_dim=head_dim,
        ffn_dim=model.ffn_dim or _ffn_dim(base, dim),
        context=model.context or base.context,
        vocab_size=vocab_size + padding,
        vocab_padding=padding,
        dropout=model.dropout,
        band_tokens=base.band_tokens if model.band_tokens == "auto" else model.band_tokens,
    )
    _check(arch)
    return arch


def _heads(base: Architecture, dim: int) -> int:
    if dim == base.dim:
        return base.heads
    if dim % base.head_dim:
        raise SettingsError(
            f"model.dim is {dim}, which is no multiple of the preset's head size of {base.head_dim}",
            "set model.heads to a number that divides model.dim",
        )
    return dim // base.head_dim


def _head_dim(dim: int, heads: int) -> int:
    if dim % heads:
        legal = min((n for n in range(1, dim + 1) if dim % n == 0), key=lambda n: abs(n - heads))
        raise SettingsError(
            f"model.heads is {heads}, which does not divide model.dim, {dim}", f"set model.heads to {legal}"
        )
    return dim // heads


def _ffn_dim(base: Architecture, dim: int) -> int:
    """The preset's ratio; where that is no whole number (Llama 2), rounded up to a multiple of 32."""
    if dim == base.dim or base.ffn_dim % base.dim == 0:
        return dim * base.ffn_dim // base.dim
    return -(-dim * base.ffn_dim // (32 * base.dim)) * 32


def _check(arch: Architecture) -> None:
    if arch.heads % arch.kv_heads:
        raise SettingsError(
            f"model.kv_heads is {arch.kv_heads}, which does not divide the {arch.heads} heads",
            "set model.kv_heads to a divisor of model.heads",
        )
    if arch.positions == "rotary" and arch.head_dim % 2:
        raise SettingsError(
            f"model.dim / model.heads is {arch.head_dim}; rotary positions turn pairs, so a head's size must be even",
            "change model.heads",
        )
