"""The engine in plain torch: one composition for every set of mesh degrees.

The order is fixed: pipeline cut, tensor parallel, activation checkpointing, compile, then FSDP2 or DDP. Today's
strategies, `single` and `ddp`, use the last of these.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from llmforge.core.hashing import derive_seed
from llmforge.model.init import initialise
from llmforge.model.saved import WEIGHTS, load_weights
from llmforge.parallel import canonical, gradients
from llmforge.parallel.mesh import degrees_of
from llmforge.parallel.process_group import World, leave_world
from llmforge.parallel.strategy import IGNORE, BuildModel, BuildOptimizer, LossSum, MicroBatch, StepResult


class TorchNative:
    """A `Strategy` over mesh degrees; its methods are described there."""

    def __init__(self, name: str, world: World, *, precision: str, max_grad_norm: float) -> None:
        self._world = world
        self._degrees = degrees_of(name, world.size)
        self._bf16 = precision == "bf16"
        self._max_grad_norm = max_grad_norm
        self._grad_norm: float | None = None  # of the gradients at hand, between the two halves of a step
        self.data_rank, self.data_world = world.rank, self._degrees.replicate
        self.is_loss_rank = world.rank == 0
        self.device = world.device

    def prepare(self, build_model: BuildModel, build_optimizer: BuildOptimizer, *, seed: int) -> None:
        """See `Strategy`."""
        with torch.device("meta"):
            model = build_model()
        model.to_empty(device=self.device)
        model.tie()
        initialise(model, model.arch, seed)
        self._model = model
        self._parameters = dict(model.named_parameters())
        self._names: dict[Tensor, str] = {parameter: name for name, parameter in self._parameters.items()}
        self._optimizer = build_optimizer(self._parameters.items())
        self._wrapped: nn.Module = model
        if self._degrees.replicate > 1:
            self._wrapped = DistributedDataParallel(model, gradient_as_bucket_view=True)

    def forward_backward(self, micro_batches: Sequence[MicroBatch], *, seed: int) -> StepResult:
        """See `Strategy`."""
        self._model.train()
        valid = sum(int((batch.targets_BT != IGNORE).sum()) for batch in micro_batches)
        tokens = int(self._sum(torch.tensor(valid, dtype=torch.float64)))
        # DDP averages over the data ranks; times their number, that is a sum.
        scale = self.data_world / max(tokens, 1)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, batch in enumerate(micro_batches):
            torch.manual_seed(derive_seed(seed, self.data_rank, index))
            with self._synchronised(index == len(micro_batches) - 1):
                loss = self._loss(self._wrapped, batch)
                torch.autograd.backward(loss * scale)
            loss_sum += loss.detach()
        share = gradients.squared_norm(self._gradients(), replicas=self._degrees.replicate)
        loss_total, squared_norm = self._sum(torch.stack([loss_sum, share])).tolist()
        self._grad_norm = squared_norm**0.5
        return StepResult(loss_total, tokens, self._grad_norm)

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """See `Strategy`."""
        for name, gradient in zip(self._parameters, self._gradients(), strict=True):
            yield name, gradient.detach().float()

    def apply(self, lr: float) -> None:
        """See `Strategy`."""
        assert self._grad_norm is not None, "apply() follows forward_backward()"
        gradients.clip(self._gradients(), self._grad_norm, self._max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.step()
        self.discard()

    def discard(self) -> None:
        """See `Strategy`."""
        self._optimizer.zero_grad(set_to_none=True)
        self._grad_norm = None

    @torch.no_grad()
    def eval_step(self, batch: MicroBatch) -> LossSum:
        """See `Strategy`."""
        self._model.eval()
        loss = self._loss(self._model, batch).double().cpu()
        valid = (batch.targets_BT != IGNORE).sum().double().cpu()
        loss_sum, tokens = self._sum(torch.stack([loss, valid])).tolist()
        return LossSum(loss_sum, int(tokens))

    def save(self, folder: Path) -> None:
        """See `Strategy`."""
        if self.is_loss_rank:
            canonical.save_weights(folder, self.full_state())
            canonical.save_optimizer(folder, self._optimizer, self._names)
        if self._world.size > 1:
            dist.barrier()

    def load(self, folder: Path) -> None:
        """See `Strategy`."""
        load_weights(folder / WEIGHTS, self._parameters)
        canonical.load_optimizer(folder, self._optimizer, self._names)

    def full_state(self) -> Iterator[tuple[str, Tensor]]:
        """See `Strategy`."""
        for name, parameter in self._parameters.items():
            yield name, parameter.detach().float()

    def close(self) -> None:
        """See `Strategy`."""
        leave_world(self._world)

    def _loss(self, model: nn.Module, batch: MicroBatch) -> Tensor:
        tokens_BT, targets_BT = batch.tokens_BT.to(self.device), batch.targets_BT.to(self.device)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self._bf16):
            loss: Tensor = model(tokens_BT, targets_BT)
        return loss

    def _synchronised(self, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward: gradients are exchanged with the last micro-batch only."""
        if last or not isinstance(self._wrapped, DistributedDataParallel):
            return nullcontext()
        return self._wrapped.no_sync()

    def _gradients(self) -> list[Tensor]:
        """Gradients in the order of the parameters."""
        return [parameter.grad for parameter in self._parameters.values() if parameter.grad is not None]

    def _sum(self, values: Tensor) -> Tensor:
        """Sum over all ranks, equal on all of them to the last bit."""
        if self._world.size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values
