"""What every parallel engine offers: one optimizer step in two halves, and states that no topology marks.

    result = strategy.forward_backward(micro_batches, seed=...)
    strategy.apply(lr) if result.finite else strategy.discard()

Every rank calls every method, in the same order; what they return is global, so that all ranks decide alike.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from llmforge.model.loss import IGNORE as IGNORE
from llmforge.model.transformer import Transformer

BuildModel = Callable[[], Transformer]
BuildOptimizer = Callable[[Iterable[tuple[str, nn.Parameter]]], torch.optim.Optimizer]


@dataclass(frozen=True)
class MicroBatch:
    """Sequences of one forward pass on one rank.

    Attributes:
        tokens_BT: token ids, int64.
        targets_BT: for each position the token that follows, int64; `IGNORE` where there is nothing to predict.
        documents_BT: numbers of documents, int64: attention stays within equal ones; None: no document mask.
    """

    tokens_BT: Tensor
    targets_BT: Tensor
    documents_BT: Tensor | None = None

    def masks(self, device: torch.device) -> dict[str, Tensor]:
        """What the model is told beside tokens and targets, by argument."""
        return {} if self.documents_BT is None else {"documents_BT": self.documents_BT.to(device)}


@dataclass(frozen=True)
class LossSum:
    """Losses summed over all ranks.

    Attributes:
        loss_sum: sum of the token losses (nats).
        tokens: positions that have a loss (count).
    """

    loss_sum: float
    tokens: int

    @property
    def loss(self) -> float:
        """Mean loss of a token (nats); NaN if no position has a loss."""
        return self.loss_sum / self.tokens if self.tokens else math.nan


@dataclass(frozen=True)
class StepResult(LossSum):
    """Losses summed over all ranks and micro-batches, with the norm of the gradient of their mean.

    Attributes:
        grad_norm: L2 norm over all distinct parameters, before clipping.
    """

    grad_norm: float

    @property
    def finite(self) -> bool:
        """Whether the loss and every gradient are numbers to go on with; the same on all ranks."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Strategy(Protocol):
    """How one optimizer step happens on many ranks.

    Attributes:
        data_rank, data_world: this rank takes the slice `data_rank` of `data_world` of every global batch.
        is_loss_rank: whether this rank writes files, metrics and messages; one rank does.
        device: where the model is; batches may come from anywhere.
    """

    data_rank: int
    data_world: int
    is_loss_rank: bool
    device: torch.device

    def prepare(self, build_model: BuildModel, build_optimizer: BuildOptimizer, *, seed: int) -> None:
        """Build the model on the meta device, distribute it, initialise it by parameter names, add the optimizer.

        Args:
            build_model: makes the model; called under `torch.device("meta")`.
            build_optimizer: makes the optimizer from (name, parameter) pairs, tied parameters once.
            seed: the run's seed; equal seeds give equal weights under every strategy.
        """

    def forward_backward(
        self, micro_batches: Sequence[MicroBatch], *, seed: int, loss_scale: float = 1.0
    ) -> StepResult:
        """Gradients of the mean loss over all valid tokens of all ranks and micro-batches.

        Args:
            micro_batches: this rank's share; every rank gives the same number of the same shape.
            seed: the step's seed. Dropout is drawn from it, the data rank and the micro-batch, so a resumed step
                repeats itself without any stored state of a random generator.
            loss_scale: losses are multiplied by it before the backward pass, and gradients divided by it after.
        """

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Full fp32 gradients by parameter name, before clipping, on every rank; between the two halves of a step."""

    def apply(self, lr: float) -> None:
        """Clip the gradients to the largest allowed global norm, update the weights, drop the gradients."""

    def discard(self) -> None:
        """Drop the gradients; weights and optimizer stay as they are."""

    def eval_step(self, batch: MicroBatch) -> LossSum:
        """Loss of one batch a rank, without dropout; ranks that ran out of data give targets of `IGNORE`."""

    def save(self, folder: Path) -> None:
        """Write weights and optimizer state into `folder` in the canonical form (see `canonical`)."""

    def load(self, folder: Path) -> None:
        """Take over weights and optimizer state that any strategy saved.

        Raises: InputError if names or shapes are not those of this model and optimizer.
        """

    def full_state(self) -> Iterator[tuple[str, Tensor]]:
        """Full fp32 weights by parameter name, on every rank."""

    def state_bytes(self) -> dict[str, int]:
        """Memory that this rank's weights, gradients and optimizer states take (bytes), counted over the tensors.

        Gradients are there between the two halves of a step only, optimizer states after the first update.
        """

    def close(self) -> None:
        """Wait for the other ranks and leave; call it once, after success only."""
