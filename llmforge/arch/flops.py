"""Training FLOPs of an architecture, under the rules in use; a multiply and an add are two."""

from dataclasses import dataclass

from llmforge.arch.architecture import Architecture
from llmforge.arch.params import count_parameters

SIX_ND_RULE = "6 x parameters x tokens; every parameter counted, attention scores left out"
LAYER_RULE = "3 passes x 2 x (every matrix, the head too, and the scores that causal attention needs) x tokens"
PALM_RULE = "6 x parameters + 12 x layers x heads x head size x context, x tokens; full attention, as MFU is quoted"


@dataclass(frozen=True)
class FlopsPerToken:
    """FLOPs of training on one token: forward, and twice that for backward.

    Attributes:
        six_n: 6 x parameters.
        by_layer: every matrix product and only the scores that a causal (or banded) mask leaves.
        palm: 6 x parameters, and the scores of full attention.
    """

    six_n: float
    by_layer: float
    palm: float


def flops_per_token(arch: Architecture) -> FlopsPerToken:
    """Training FLOPs for one token of a full context.

    Source: Kaplan et al. 2020, section 2.1 (6N); Chowdhery et al. 2022, appendix B (the rule for MFU).
    """
    count = count_parameters(arch)
    query_dim = arch.heads * arch.head_dim
    # Scores and their weighted sum of values: two products of head size for every key that a query sees.
    scores = 4 * query_dim * sum(_mean_keys(arch, layer) for layer in range(arch.layers))
    return FlopsPerToken(
        six_n=6.0 * count.total,
        by_layer=3 * (2.0 * count.multiplied + scores),
        palm=6.0 * count.total + 12.0 * arch.layers * query_dim * arch.context,
    )


def _mean_keys(arch: Architecture, layer: int) -> float:
    """Keys that a token sees in a layer, itself included, averaged over the places of a full context."""
    context = arch.context
    band = arch.band_tokens if arch.band_tokens is not None and layer % 2 == 1 else context
    band = min(band, context)
    return band - band * (band - 1) / (2 * context)
