"""Learning rate and batch size that fit a size and an amount of data.

Source: Li et al. 2025 ("Step Law"), equation 1: both are power laws, fitted on models of 60 million to 1 billion
parameters; the rate is kept within what AdamW trains with in practice.
"""

import math

BATCH_LAW = "batch = 0.58 D^0.571 tokens (Step Law)"
LR_LAW = "lr = 1.79 N^-0.713 D^0.307, N without embeddings (Step Law), between 1e-5 and 3e-3"

_LR_RANGE = (1e-5, 3e-3)
# Sizes of the runs that the law was fitted on.
BATCH_LAW_PARAMS = (6e7, 1e9)
_MIN_BATCH_SEQUENCES = 8
# Fewer steps than this leave no room for warm-up and decay.
_MIN_STEPS = 100
_MAX_MICRO_BATCH_TOKENS = 4096


def batch_for(tokens: float, context: int, devices: int = 1) -> int:
    """Tokens of one optimizer step: Step Law's, as the nearest power of two of sequences on every device.

    Args:
        tokens: training tokens D.
        context: tokens of a sequence.
        devices: that share the step (count).
    """
    sequences = min(0.58 * tokens**0.571, tokens / _MIN_STEPS) / context
    fewest = math.ceil(math.log2(_MIN_BATCH_SEQUENCES / devices))
    each: int = 2 ** max(0, fewest, round(math.log2(max(sequences / devices, 1))))
    return each * devices * context


def learning_rate_for(params_without_embeddings: float, tokens: float) -> float:
    """Peak learning rate: Step Law's, within the range, to two digits."""
    rate = 1.79 * params_without_embeddings**-0.713 * tokens**0.307
    return float(f"{min(max(rate, _LR_RANGE[0]), _LR_RANGE[1]):.2g}")


def micro_batch_for(global_batch_tokens: int, context: int) -> int:
    """Sequences of one forward pass: a divisor of the batch, of at most 4,096 tokens where a sequence is shorter."""
    sequences = max(1, global_batch_tokens // context)
    limit = max(1, _MAX_MICRO_BATCH_TOKENS // context)
    return max(size for size in range(1, min(sequences, limit) + 1) if sequences % size == 0)
