"""A concrete, legal shape near a wanted size: layers, width and heads of a family."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from llmforge.arch.architecture import Architecture
from llmforge.arch.params import list_weights
from llmforge.arch.presets import family_of, preset, resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.core.errors import SettingsError

MIN_LAYERS, MAX_LAYERS = 2, 160
# Width over layers, as the tables of GPT-3 and Llama 2 have it: about 64 in small models and 128 in large ones.
_ASPECT, _LARGE_ASPECT, _LARGE_PARAMS = 64, 128, 2e9
# Twice the usual aspect ratio counts as much as 10 % away from the wanted size.
_ASPECT_COST = 0.1


@dataclass(frozen=True)
class Shape:
    """Settings of a model, what they resolve to, and its parameters."""

    model: ModelSection
    arch: Architecture
    params: int


def default_context(params: float) -> int:
    """Tokens of a sequence for a size of model: short ones keep attention cheap in small models (count)."""
    for limit, context in ((5e6, 256), (5e7, 512), (1e9, 1024)):
        if params < limit:
            return context
    return 2048


def nearest_shape(family: ModelSection, vocab_size: int, params: float) -> Shape:
    """The shape of a family that is closest to a wanted size, at a usual ratio of width to layers.

    Args:
        family: preset, context and vocabulary padding to keep; its sizes are replaced.
        vocab_size: entries of the tokenizer (count).
        params: wanted size, embeddings included (parameters).

    Returns: the smallest or the largest shape where the wanted size is beyond them.
    """
    best = min(widths(family, vocab_size, params), key=lambda width: _cost(width, params))
    model = best.model.model_copy(update={"layers": best.layers_for(params)})
    return Shape(model, resolve_architecture(model, vocab_size), best.params(best.layers_for(params)))


@dataclass(frozen=True)
class Width:
    """All shapes of one width: settings without layers, parameters with one layer, and those of each further one."""

    model: ModelSection
    one_layer: int
    each_layer: int

    def params(self, layers: int) -> int:
        """Parameters with a number of layers: exact, as every layer has the same."""
        return self.one_layer + (layers - 1) * self.each_layer

    def layers_for(self, params: float) -> int:
        """The number of layers that comes closest to a wanted size (count)."""
        return min(max(1 + round((params - self.one_layer) / self.each_layer), MIN_LAYERS), MAX_LAYERS)


def widths(family: ModelSection, vocab_size: int, params: float) -> Iterator[Width]:
    """Every width of a family, for models of about a size (parameters), which decides the context if it is open."""
    context = family.context or default_context(params)
    for dim in _dims():
        sizes = {"dim": dim, "context": context, "ffn_dim": None, **_heads(family, dim)}
        model = family.model_copy(update={"preset": family_of(family), **sizes})
        try:
            weights = list_weights(resolve_architecture(model.model_copy(update={"layers": 1}), vocab_size))
        except SettingsError:  # heads that this family cannot share keys among
            continue
        each = sum(weight.total for weight in weights if weight.in_block)
        yield Width(model, sum(weight.total for weight in weights), each)


def _dims() -> Iterator[int]:
    """Widths that divide into heads and suit matrix units: ever wider steps, some 7 % to 25 % apart."""
    dim = 64
    while dim <= 2**16:
        yield dim
        dim += 64 if dim < 1024 else 128 if dim < 2048 else 256 if dim < 8192 else 1024


def _heads(family: ModelSection, dim: int) -> dict[str, int]:
    """Heads of 32, 64 or 128 by width, as in the published tables; one key head where the family has one."""
    head_dim = 32 if dim < 256 else 64 if dim < 2048 else 128
    single_key = {"kv_heads": 1} if preset(family_of(family)).kv_heads == 1 else {}
    return {"heads": dim // head_dim, **single_key}


def _cost(width: Width, params: float) -> float:
    layers = width.layers_for(params)
    size = abs(math.log(width.params(layers) / params))
    usual = _ASPECT if params < _LARGE_PARAMS else _LARGE_ASPECT
    return size + _ASPECT_COST * abs(math.log2((width.model.dim or 1) / layers / usual))
