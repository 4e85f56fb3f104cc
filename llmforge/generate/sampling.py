"""Drawing tokens from a model, each token read once.

Shapes: B batch (1 here), T positions, V tokens of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llmforge.core.errors import SettingsError
from llmforge.model.cache import KeyValueCache
from llmforge.model.transformer import Transformer


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn: temperature first, then the k likeliest, then the share of probability.

    Attributes:
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_k: draw from this many likeliest tokens; None: from all (count).
        top_p: draw from the fewest likeliest tokens that hold this share of probability; None: from all.
        seed: equal seeds draw equal tokens.

    Raises: SettingsError if a value is out of its range.
    Source: Fan et al. 2018 (top-k), section 5; Holtzman et al. 2020 (top-p), section 3.1.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 1234

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise SettingsError(f"temperature is {self.temperature}; allowed: 0 (the likeliest token) and more")
        if self.top_k is not None and self.top_k < 1:
            raise SettingsError(f"top_k is {self.top_k}; allowed: 1 and more")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise SettingsError(f"top_p is {self.top_p}; allowed: more than 0, up to 1")


def next_token_probabilities(logits_V: Tensor, sampling: Sampling) -> Tensor:
    """Probability of each token to be drawn next, fp32, shape (V)."""
    if sampling.temperature == 0:
        return torch.zeros_like(logits_V, dtype=torch.float32).index_fill(0, logits_V.argmax(), 1.0)
    likeliest, token_V = (logits_V.float() / sampling.temperature).softmax(-1).sort(descending=True, stable=True)
    if sampling.top_k is not None:
        likeliest[sampling.top_k :] = 0
        likeliest /= likeliest.sum()
    if sampling.top_p is not None:
        before_V = likeliest.cumsum(-1) - likeliest  # a token stays if those before it do not yet hold the share
        likeliest[before_V >= sampling.top_p] = 0
        likeliest /= likeliest.sum()
    return torch.zeros_like(likeliest).scatter(0, token_V, likeliest)


@torch.no_grad()
def generate_tokens(model: Transformer, prompt: Sequence[int], num_tokens: int, sampling: Sampling) -> Iterator[int]:
    """Draw tokens that go on from a prompt.

    The model sees `context` tokens at most. When they are full, it starts anew from the last half of them, read
    again at the positions 0 and up; of a longer prompt it reads the last `context` tokens.

    Args:
        model: in any mode; it is set to predict (dropout off).
        prompt: token ids, one or more.
        num_tokens: tokens to draw (count).
        sampling: how to draw.
    """
    model.eval()
    context, device = model.arch.context, next(model.parameters()).device
    generator = torch.Generator().manual_seed(sampling.seed)
    seen = list(prompt)[-context:]
    unread, cache = seen, KeyValueCache()
    for _ in range(num_tokens):
        if cache.num_tokens + len(unread) > context:
            unread, cache = seen[-(context // 2) :], KeyValueCache()
        logits_BTV = model(torch.tensor([unread], device=device), cache=cache)
        probability_V = next_token_probabilities(logits_BTV[0, -1].cpu(), sampling)
        token = int(torch.multinomial(probability_V, 1, generator=generator))
        yield token
        seen.append(token)
        unread = [token]
