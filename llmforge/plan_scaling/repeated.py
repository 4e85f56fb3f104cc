"""The data-constrained law: what repeated tokens, and parameters beyond what the data support, are worth.

Source: Muennighoff et al. 2023, section 3.1 and appendix A; constants of its published code.
"""

import math

from llmforge.plan_scaling.laws import C4_REPEATED, LossLaw
from llmforge.plan_scaling.search import minimise

# Repetitions after which a token is worth little, and the same for parameters. Weakly identified: three fits of the
# same runs give 2.8 to 47 for the first; they are a prior, not a measurement.
TOKEN_HALF_LIFE = 15.387756
PARAM_HALF_LIFE = 5.309743


def effective_tokens(tokens: float, unique: float) -> float:
    """Fresh tokens that would teach as much as `tokens` draws from `unique` ones (tokens)."""
    return _saturating(tokens, min(unique, tokens), TOKEN_HALF_LIFE)


def effective_params(params: float, unique: float, law: LossLaw = C4_REPEATED) -> float:
    """Parameters that `unique` tokens give something to do (parameters)."""
    supported = float((unique * law.balance) ** (law.beta / law.alpha) * law.balance)
    return _saturating(params, min(params, supported), PARAM_HALF_LIFE)


def _saturating(value: float, base: float, half_life: float) -> float:
    """`base` at full worth, and each repetition of it worth less than the one before."""
    repetitions = max(value / base - 1, 0)
    return base + base * half_life * (1 - math.exp(-repetitions / half_life))


def repeated_loss(params: float, tokens: float, unique: float, law: LossLaw = C4_REPEATED) -> float:
    """Predicted loss of `tokens` draws from `unique` tokens (nats per token)."""
    used = min(unique, tokens)
    return law.loss(effective_params(params, used, law), effective_tokens(tokens, unique))


def optimal_repetition(flops: float, unique: float) -> tuple[float, float]:
    """Parameters and tokens that are best for a budget when there are only `unique` tokens.

    The objective has kinks where repetition begins, so that several brackets are searched.
    """

    def loss(log_params: float) -> float:
        params = math.exp(log_params)
        return repeated_loss(params, flops / (6 * params), unique)

    free = math.log(math.sqrt(flops / 120))
    params = math.exp(minimise(loss, free - 7, free + 5, brackets=240))
    return params, flops / (6 * params)
