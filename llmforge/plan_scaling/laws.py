"""Compute-optimal laws, side by side: each says how many parameters to train with a budget of C = 6ND.

Constants stand at the full precision that was published: three digits instead of seven move the Chinchilla fit
from 59 to 93 tokens per parameter at 5.88e23 FLOPs. Loss is in nats per token, on the data and tokenizer of the
paper named.
"""

import math
from dataclasses import dataclass

TOKENS_PER_PARAM = 20.0
ALL_PARAMETERS = "all parameters"


@dataclass(frozen=True)
class LossLaw:
    """Loss over size and data: E + A / N^alpha + B / D^beta, with N parameters and D tokens.

    Source: Hoffmann et al. 2022, section 3.3.
    """

    name: str
    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, params: float, tokens: float) -> float:
        """Predicted loss (nats per token)."""
        return float(self.E + self.A * params**-self.alpha + self.B * tokens**-self.beta)

    def tokens_for_loss(self, params: float, loss: float) -> float:
        """Tokens at which `params` parameters reach a loss; infinite where they never do."""
        room = loss - self.E - self.A * params**-self.alpha
        return float((self.B / room) ** (1 / self.beta)) if room > 0 else math.inf

    @property
    def exponent(self) -> float:
        """The power of compute with which the optimal size grows."""
        return self.beta / (self.alpha + self.beta)

    @property
    def balance(self) -> float:
        """G, the constant that says how size and data share a budget: N = G (C/6)^exponent."""
        return float((self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta)))


@dataclass(frozen=True)
class ComputeLaw:
    """Optimal parameters as a power of compute: N = coefficient x C^exponent, and D = C / (6N).

    `counts` says which parameters the law's authors counted; `note` is what a reader must know beside the numbers.
    """

    name: str
    coefficient: float
    exponent: float
    source: str
    counts: str = ALL_PARAMETERS
    note: str = ""

    def params(self, flops: float) -> float:
        """Optimal size for a budget (parameters)."""
        return float(self.coefficient * flops**self.exponent)

    def tokens(self, flops: float) -> float:
        """Optimal data for a budget (tokens)."""
        return flops / (6 * self.params(flops))

    def tokens_per_param(self, flops: float) -> float:
        """Optimal data over optimal size for a budget (tokens per parameter)."""
        return self.tokens(flops) / self.params(flops)

    def flops_for_params(self, params: float) -> float:
        """The budget for which `params` parameters are optimal (FLOPs)."""
        return float((params / self.coefficient) ** (1 / self.exponent))

    def flops_for_tokens(self, tokens: float) -> float:
        """The budget for which `tokens` tokens are optimal (FLOPs)."""
        return float((6 * self.coefficient * tokens) ** (1 / (1 - self.exponent)))


def frontier(law: LossLaw, source: str, note: str = "") -> ComputeLaw:
    """The compute-optimal law that follows from a loss law.

    Source: Hoffmann et al. 2022, equation 4.
    """
    return ComputeLaw(law.name, law.balance / 6**law.exponent, law.exponent, source, note=note)


# Logs of A, B and E as in the TeX source of the paper; the printed 406.4, 410.7, 0.34, 0.28 are these, rounded.
CHINCHILLA = LossLaw(
    "Chinchilla approach 3 (unrounded)",
    E=math.exp(0.5267228),
    A=math.exp(6.0073404),
    B=math.exp(6.0179186),
    alpha=0.33917084,
    beta=0.2849083,
)
REPLICATION = LossLaw("Chinchilla replication (Epoch AI)", E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
# Logs of A, B and E as in the code that came with the paper; the two exponents were fitted as one.
C4_REPEATED = LossLaw(
    "C4, data-constrained",
    E=math.exp(0.6254804),
    A=math.exp(6.255414),
    B=math.exp(7.3049974),
    alpha=0.3526596,
    beta=0.3526596,
)

LAWS: tuple[ComputeLaw, ...] = (
    ComputeLaw(
        "20 tokens per parameter",
        (6 * TOKENS_PER_PARAM) ** -0.5,
        0.5,
        "Hoffmann et al. 2022, as a rule of thumb",
        note="what llmforge recommends",
    ),
    frontier(REPLICATION, "Besiroglu et al. 2024", "the loss predicted here is this law's"),
    ComputeLaw(
        "Chinchilla approach 1", 0.0991589, 0.4981, "Hoffmann et al. 2022, table 3", note="power law through its rows"
    ),
    ComputeLaw(
        "Chinchilla approach 2", 0.144877, 0.4899, "Hoffmann et al. 2022, table A3", note="power law through its rows"
    ),
    frontier(CHINCHILLA, "Hoffmann et al. 2022, TeX source", "its fit stopped early (Besiroglu et al. 2024)"),
    frontier(C4_REPEATED, "Muennighoff et al. 2023", "on fresh data"),
    ComputeLaw(
        "DeepSeek",
        0.1715 / 6,
        0.5243,
        "DeepSeek-AI 2024, section 3.2",
        counts="without embeddings",
        note="its FLOPs per token taken as 6 a parameter",
    ),
    ComputeLaw("Llama 3", 1 / (6 * 0.299), 1 - 0.537, "Grattafiori et al. 2024, section 3.2.1"),
    ComputeLaw(
        "Kaplan",
        4.68e9 / 1e21**0.73,
        0.73,
        "Kaplan et al. 2020; level as Hoffmann et al. 2022, appendix D.4, quote it",
        counts="without embeddings",
        note="from small runs with untuned schedules; too many parameters beyond 1e21 FLOPs",
    ),
)
TWENTY, DEFAULT = LAWS[:2]

# What the replication was fitted on: sizes, and compute (Besiroglu et al. 2024, data of Hoffmann et al. 2022).
FITTED_PARAMS = (57e6, 16e9)
FITTED_FLOPS = (1.4e18, 1.3e22)
# This far below the smallest run, a loss law says nothing any more.
_BLIND_FACTOR = 100


def predict_loss(params: float, tokens: float, worth_tokens: float | None = None) -> float | None:
    """Loss that the replication predicts (nats per token); None a hundred times below the compute it was fitted on.

    Args:
        params: of the model.
        tokens: to train on.
        worth_tokens: fresh tokens that teach as much, where some are repeated; None: all are fresh.
    """
    if 6 * params * tokens < FITTED_FLOPS[0] / _BLIND_FACTOR:
        return None
    return REPLICATION.loss(params, worth_tokens or tokens)


def is_extrapolation(params: float, tokens: float) -> bool:
    """Whether a run lies outside the sizes and budgets that the loss law was fitted on."""
    flops = 6 * params * tokens
    return not (FITTED_PARAMS[0] <= params <= FITTED_PARAMS[1] and FITTED_FLOPS[0] <= flops <= FITTED_FLOPS[1])
