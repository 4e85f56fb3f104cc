"""How large a vocabulary a run should have, from the vocabulary scaling law: `tokenize.vocab_size: auto`.

    what is known                            parameters outside the vocabulary
    a model (model.preset or sizes)          counted
    plan_scaling.budget_flops                compute-optimal for the budget
    plan_scaling.params                      what the law leaves of them
    plan_scaling.tokens, or the corpus       compute-optimal for the budget that the tokens are optimal for

Source: Tao et al. 2024, "Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies", sections 4.1 and
4.2; both fits are for 33 million to 3 billion parameters and compute-optimal training.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from llmforge.arch.params import count_parameters
from llmforge.arch.presets import PRESETS, resolve_architecture
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError

_FITTED = (33e6, 3e9)
_SMALLEST, _LARGEST = 512, 2**20
_MULTIPLE = 128
_UNKNOWN = 8192
# Byte-level BPE writes 3.2 (4,096 tokens) to 4.5 (50,000) bytes of English as one token.
_BYTES_PER_TOKEN = 4.0
# Source: Hoffmann et al. 2022, table 3.
_TOKENS_PER_PARAM = 20


@dataclass(frozen=True)
class VocabularyChoice:
    """A vocabulary size (tokens, special ones included) and why it was chosen."""

    size: int
    reason: str


def vocabulary_parameters(other_params: float) -> float:
    """Embedding parameters that suit a model with so many others. Source: Tao et al. 2024, section 4.2."""
    return float(3_145_728 * (other_params / 33e6) ** 0.8354)


def other_parameters(budget_flops: float) -> float:
    """Compute-optimal parameters outside the vocabulary for a budget. Source: Tao et al. 2024, section 4.1."""
    return math.exp(-2.4847) * math.sqrt(budget_flops)


def expected_vocab_size(settings: Settings) -> int:
    """The size that the settings ask for, as far as it can be told before any text is read (count)."""
    return choose_vocab_size(settings).size


def choose_vocab_size(settings: Settings, corpus_bytes: int | None = None) -> VocabularyChoice:
    """The size set, or the law's; rounded up to `tokenize.vocab_multiple`.

    Args:
        settings: the run's settings.
        corpus_bytes: training text (UTF-8 bytes); None: not known yet.
    Raises: SettingsError if the budget is in hours or money, which the law cannot read.
    """
    section = settings.tokenize
    if section.vocab_size != "auto":
        return VocabularyChoice(_round_up(section.vocab_size, section.vocab_multiple), "set")
    multiple = _MULTIPLE if section.vocab_multiple == 1 else section.vocab_multiple
    known = _what_is_known(settings, corpus_bytes)
    if known is None:
        return VocabularyChoice(_round_up(_UNKNOWN, multiple), "no model, budget or text is known yet")
    others, width, reason = known
    size = min(_LARGEST, max(_SMALLEST, vocabulary_parameters(others) / width))
    fit = "" if _FITTED[0] <= others <= _FITTED[1] else ", outside the range that the law was fitted in"
    why = f"{reason}: {others:.3g} parameters outside the vocabulary, width {width:,.0f}{fit}"
    return VocabularyChoice(_round_up(math.ceil(size), multiple), why)


def _what_is_known(settings: Settings, corpus_bytes: int | None) -> tuple[float, float, str] | None:
    """Parameters outside the vocabulary, model width, and where they are from."""
    plan = settings.plan_scaling
    if settings.model.is_chosen:
        arch = resolve_architecture(settings.model, _UNKNOWN)
        return count_parameters(arch).without_embeddings, arch.dim, "for the model that is set"
    if plan.budget_flops is not None:
        return _with_width(other_parameters(plan.budget_flops), f"for a budget of {plan.budget_flops:.3g} FLOPs")
    if plan.budget_gpu_hours is not None or plan.budget_money is not None:
        raise SettingsError(
            "tokenize.vocab_size is auto, but the budget is in device hours or money, which the law cannot read",
            "set tokenize.vocab_size, or plan_scaling.budget_flops as `llmforge plan-scaling` prints it",
        )
    if plan.params is not None:
        return _with_width(_others_of(plan.params), f"for {plan.params:,} parameters in all")
    if plan.tokens is None and corpus_bytes is None:
        return None
    tokens = plan.tokens or plan.max_epochs * (corpus_bytes or 0) / _BYTES_PER_TOKEN
    flops = 6 * (tokens / _TOKENS_PER_PARAM) * tokens
    return _with_width(other_parameters(flops), f"for {tokens:.3g} training tokens at {_TOKENS_PER_PARAM} a parameter")


def _others_of(total: float) -> float:
    """The parameters outside the vocabulary of a model with so many in all."""
    low, high = 0.0, total
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle + vocabulary_parameters(middle) < total else (low, middle)
    return low


def _with_width(others: float, reason: str) -> tuple[float, float, str]:
    """With the width of a GPT-3 of that size: between the published sizes on a logarithmic scale."""
    models = [arch for name, arch in PRESETS.items() if name.startswith("gpt3-")]
    published = [(count_parameters(arch).without_embeddings, arch.dim) for arch in models]
    return others, _interpolate(others, sorted(published)), reason


def _interpolate(value: float, points: list[tuple[int, int]]) -> float:
    """Between points on logarithmic axes; beyond them, the value of the nearest."""
    value = min(max(value, points[0][0]), points[-1][0])
    (low, at_low), (high, at_high) = next(pair for pair in pairwise(points) if value <= pair[1][0])
    share = math.log(value / low) / math.log(high / low)
    return at_low * math.exp(share * math.log(at_high / at_low))


def _round_up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
