"""The engine over DeepSpeed's ZeRO: optimizer states, gradients and weights sharded over the data ranks.

Source: Rajbhandari et al. 2020 (ZeRO); Ren et al. 2021 (ZeRO-Offload).

DeepSpeed accumulates, reduces and updates. Loss scaling, the norm, finiteness, clipping, the learning rate and the
files are llmforge's, so that they are the same under every engine.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from llmforge.arch.activations import Recompute
from llmforge.arch.params import count_parameters
from llmforge.config.zero import ZeroSection
from llmforge.core.hashing import derive_seed
from llmforge.model.init import initial_value
from llmforge.model.saved import WEIGHTS
from llmforge.model.transformer import Transformer
from llmforge.parallel import canonical, gradients
from llmforge.parallel.held import held_bytes
from llmforge.parallel.process_group import World, leave_world
from llmforge.parallel.recompute import recompute_blocks
from llmforge.parallel.strategy import IGNORE, BuildModel, BuildOptimizer, LossSum, MicroBatch, StepResult
from llmforge.parallel.zero_config import STAGES, require_deepspeed, warn_of_extra, zero_config
from llmforge.parallel.zero_partitions import Partitions


class Zero:
    """A `Strategy` over DeepSpeed; its methods are described there."""

    def __init__(
        self,
        name: str,
        world: World,
        *,
        precision: str,
        max_grad_norm: float,
        section: ZeroSection,
        recompute: Recompute = "none",
    ) -> None:
        self._world, self._stage = world, STAGES[name]
        self._precision, self._max_grad_norm = precision, max_grad_norm
        self._section, self._recompute = section, recompute
        self._grad_norm: float | None = None  # of the gradients at hand, between the two halves of a step
        self.data_rank, self.data_world = world.rank, world.size
        self.is_loss_rank = world.rank == 0
        self.device = world.device
        self._deepspeed = import_deepspeed(world)

    def prepare(self, build_model: BuildModel, build_optimizer: BuildOptimizer, *, seed: int) -> None:
        """See `Strategy`."""
        with torch.device("meta"):
            arch = build_model().arch
        config = zero_config(
            self._section, self._stage, precision=self._precision, num_params=count_parameters(arch).total
        )
        warn_of_extra(self._section)
        with _stdout_as_stderr():
            model = self._build_sharded(build_model, config) if self._stage == 3 else self._build_whole(build_model)
            recompute_blocks(model, self._recompute)
            with _in_shape(model.parameters()):
                optimizer = build_optimizer(model.named_parameters())
            self._optimizer_name = type(optimizer).__name__
            self._engine = self._deepspeed.initialize(model=model, optimizer=optimizer, config=config)[0]
        offload = self._section.offload_optimizer
        self._partitions = Partitions(self._deepspeed, self._engine, self._stage, offload=offload)
        for name, parameter in self._partitions.parameters.items():
            value = initial_value(name, _whole_shape(parameter), arch, seed)
            self._partitions.set_weight(name, value.to(self.device))

    def _build_whole(self, build_model: BuildModel) -> Transformer:
        with torch.device("meta"):
            model = build_model()
        model.to_empty(device=self.device)
        model.tie()
        return model

    def _build_sharded(self, build_model: BuildModel, config: dict[str, Any]) -> Transformer:
        """Build layer by layer, each sharded at once: no rank ever holds the whole model."""
        with self._deepspeed.zero.Init(config_dict_or_path=config):
            return build_model()

    def forward_backward(
        self, micro_batches: Sequence[MicroBatch], *, seed: int, loss_scale: float = 1.0
    ) -> StepResult:
        """See `Strategy`; losses are not scaled, as fp16 is refused."""
        assert loss_scale == 1.0, "fp16 does not run under ZeRO"
        self._engine.train()
        valid = sum(int((batch.targets_BT != IGNORE).sum()) for batch in micro_batches)
        tokens = int(self._sum(torch.tensor(valid, dtype=torch.float64)))
        # The engine averages over the data ranks; times their number, that is a sum.
        scale = self.data_world / max(tokens, 1)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, batch in enumerate(micro_batches):
            torch.manual_seed(derive_seed(seed, self.data_rank, index))
            self._engine.set_gradient_accumulation_boundary(index == len(micro_batches) - 1)
            loss = self._loss(batch)
            self._engine.backward(loss * scale, scale_wrt_gas=False)
            loss_sum += loss.detach()
        if self._section.offload_optimizer and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # gradients may still be on their way into pinned host memory
        share = gradients.squared_norm(self._partitions.gradients(), replicas=1).to(self.device)
        loss_total, squared_norm = self._sum(torch.stack([loss_sum, share])).tolist()
        self._grad_norm = squared_norm**0.5
        return StepResult(loss_total, tokens, self._grad_norm)

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """See `Strategy`."""
        for name, gradient in self._partitions.full_gradients():
            yield name, gradient.detach().float()

    def apply(self, lr: float) -> None:
        """See `Strategy`."""
        assert self._grad_norm is not None, "apply() follows forward_backward()"
        gradients.clip(self._partitions.gradients(), self._grad_norm, self._max_grad_norm)
        for group in self._partitions.optimizer.param_groups:
            group["lr"] = lr
        self._engine.step()
        self._grad_norm = None

    def discard(self) -> None:
        """See `Strategy`."""
        self._partitions.drop_gradients()
        self._grad_norm = None

    @torch.no_grad()
    def eval_step(self, batch: MicroBatch) -> LossSum:
        """See `Strategy`."""
        self._engine.eval()
        loss = self._loss(batch).double().cpu()
        valid = (batch.targets_BT != IGNORE).sum().double().cpu()
        loss_sum, tokens = self._sum(torch.stack([loss, valid])).tolist()
        return LossSum(loss_sum, int(tokens))

    def save(self, folder: Path) -> None:
        """See `Strategy`."""
        weights, states = self._on_writer(self.full_state()), self._on_writer(self._partitions.full_states())
        if self.is_loss_rank:
            canonical.save_weights(folder, weights)
            canonical.save_states(folder, self._optimizer_name, states)
        dist.barrier()

    def _on_writer(self, tensors: Iterator[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
        """Gather tensor by tensor on all ranks; the one that writes keeps them, in host memory."""
        return [(name, tensor.cpu()) for name, tensor in tensors if self.is_loss_rank]

    def load(self, folder: Path) -> None:
        """See `Strategy`."""
        shapes = {name: _whole_shape(parameter) for name, parameter in self._partitions.parameters.items()}
        for name, weight in canonical.read_weights(folder / WEIGHTS, shapes, shapes):
            self._partitions.set_weight(name, weight.to(self.device))
        states: dict[str, dict[str, Tensor]] = {}
        path = folder / canonical.OPTIMIZER
        for name, key, value in canonical.read_states(path, self._optimizer_name, shapes, shapes):
            states.setdefault(name, {})[key] = value
        self._partitions.set_states(states)

    def full_state(self) -> Iterator[tuple[str, Tensor]]:
        """See `Strategy`."""
        for name, weight in self._partitions.full_weights():
            yield name, weight.detach().float()

    def state_bytes(self) -> dict[str, int]:
        """See `Strategy`."""
        return held_bytes(self._partitions.tensors())

    def close(self) -> None:
        """See `Strategy`."""
        leave_world(self._world)

    def _loss(self, batch: MicroBatch) -> Tensor:
        tokens_BT, targets_BT = batch.tokens_BT.to(self.device), batch.targets_BT.to(self.device)
        loss: Tensor = self._engine(tokens_BT, targets_BT, **batch.masks(self.device))
        return loss

    def _sum(self, values: Tensor) -> Tensor:
        """Sum over all ranks, equal on all of them to the last bit."""
        values = values.to(self.device)
        dist.all_reduce(values)
        return values


@contextlib.contextmanager
def _in_shape(parameters: Iterable[Any]) -> Iterator[None]:
    """Give stage 3's empty tensors their shapes, without memory: optimizers treat matrices and vectors differently."""
    empty = [(parameter, parameter.data) for parameter in parameters if hasattr(parameter, "ds_shape")]
    for parameter, data in empty:
        parameter.data = data.new_zeros(()).expand(parameter.ds_shape)
    try:
        yield
    finally:
        for parameter, data in empty:
            parameter.data = data


def _whole_shape(parameter: Any) -> torch.Size:
    """The parameter's shape; stage 3 leaves an empty tensor in its place."""
    shape: torch.Size = getattr(parameter, "ds_shape", parameter.shape)
    return shape


def import_deepspeed(world: World) -> Any:
    """The library, connected to the process group that stands, and silent on stdout.

    Its own all-reduce in shared memory, for inference only, is left out: it would be compiled on first use, which
    takes a compiler and minutes.

    Raises: MachineError if it is not installed.
    """
    require_deepspeed()
    os.environ.setdefault("LOCAL_SIZE", os.environ.get("LOCAL_WORLD_SIZE", str(world.size)))
    os.environ.setdefault("DS_ACCELERATOR", world.device.type)
    # DeepSpeed's calls, about which a user can do nothing.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
    with _stdout_as_stderr():
        import deepspeed

        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        deepspeed.init_distributed(dist_backend=world.backend, auto_mpi_discovery=False)
    return deepspeed


def _stdout_as_stderr() -> contextlib.AbstractContextManager[Any]:
    """DeepSpeed prints and logs to stdout, which belongs to results."""
    return contextlib.redirect_stdout(sys.stderr)
