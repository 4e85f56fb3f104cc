"""A chunk: the part of the model that one rank computes in one go, the whole model or some of its layers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from llmforge.config.parallel import ParallelSection
from llmforge.core.hashing import derive_seed
from llmforge.model.transformer import Transformer
from llmforge.parallel.compile import compile_blocks
from llmforge.parallel.groups import Groups, TensorRanks
from llmforge.parallel.mesh import Degrees
from llmforge.parallel.pipeline import cut
from llmforge.parallel.recompute import recompute_blocks
from llmforge.parallel.tensor import split_layers


class Passes:
    """A chunk's forward passes: in the run's precision, with dropout drawn from step, data rank, micro-batch and stage.

    Tensor ranks share the seed, so that what all of them hold is dropped alike.
    """

    def __init__(
        self, forward: Callable[..., Tensor], device: torch.device, autocast: torch.dtype | None, place: tuple[int, int]
    ):
        self._forward, self._device, self._autocast, self._place = forward, device, autocast, place
        self._seed: int | None = None
        self._count = 0

    def begin(self, seed: int | None) -> None:
        """Start a step with its seed; None: there is no dropout (validation)."""
        self._seed, self._count = seed, 0

    def __call__(self, x: Tensor, targets_BT: Tensor | None = None, documents_BT: Tensor | None = None) -> Tensor:
        """One pass."""
        if self._seed is not None:
            torch.manual_seed(derive_seed(self._seed, *self._place, self._count))
            self._count += 1
        with torch.autocast(self._device.type, dtype=self._autocast, enabled=self._autocast is not None):
            return self._forward(x, targets_BT, documents_BT=documents_BT)


class Chunk:
    """One stage's model, distributed but not yet materialised; then materialised, filled and wrapped.

    Args:
        model: the whole model, on the meta device; what belongs to others is taken from it.
        stage, num_stages: which part of the pipeline.
        degrees, section: the mesh, and how its axes work.
        groups, ranks: whom to exchange with; None: nobody.
        compiled: whether blocks run compiled.
    """

    def __init__(
        self,
        model: Transformer,
        stage: int,
        num_stages: int,
        degrees: Degrees,
        section: ParallelSection,
        groups: Groups | None,
        ranks: TensorRanks | None,
        *,
        compiled: bool = False,
    ) -> None:
        self.model, self._stage, self._degrees, self._groups = model, stage, degrees, groups
        self.wrapped: nn.Module = model
        with torch.device("meta"):
            cut(model, num_stages, stage)
            if ranks is not None:
                split_layers(
                    model,
                    ranks,
                    sequence_parallel=section.sequence_parallel,
                    vocabulary_parallel_loss=section.vocabulary_parallel_loss,
                )
        recompute_blocks(model, section.activation_checkpointing)
        if compiled:
            compile_blocks(model)
        if degrees.shard > 1:
            self._shard(section.reshard_after_forward)

    def materialise(self, device: torch.device, *, autocast: torch.dtype | None, data_rank: int) -> None:
        """Give the parameters memory, and the model its passes."""
        self.model.to_empty(device=device)
        self.model.tie()
        self.passes = Passes(self.model.forward, device, autocast, place=(data_rank, self._stage))
        self.model.forward = self.passes  # type: ignore[method-assign,assignment]

    def replicate(self) -> None:
        """Let DDP average gradients over the replicas, if there are any that FSDP does not look after."""
        if self.averages:
            assert self._groups is not None
            group = self._groups.along("replicate")
            self.wrapped = DistributedDataParallel(self.model, process_group=group, gradient_as_bucket_view=True)

    @property
    def averages(self) -> bool:
        """Whether gradients come out averaged over replicas instead of summed."""
        return self._degrees.shard == 1 and self._degrees.replicate > 1

    def exchanging(self, *, last: bool) -> AbstractContextManager[Any]:
        """Around forward and backward of a micro-batch: DDP exchanges gradients with the last one only.

        FSDP adds up shards after every one, so that no rank ever holds all gradients.
        """
        if last or not isinstance(self.wrapped, DistributedDataParallel):
            return nullcontext()
        return self.wrapped.no_sync()

    def _shard(self, reshard_after_forward: bool) -> None:
        """FSDP2, a unit for each block and one for the rest, so that tied weights are in one unit."""
        assert self._groups is not None
        axes = ("replicate", "shard") if self._degrees.replicate > 1 else ("shard",)
        mesh = self._groups.mesh[axes]
        for block in self.model.blocks.values():
            fully_shard(block, mesh=mesh, reshard_after_forward=reshard_after_forward)
        fully_shard(self.model, mesh=mesh)
        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                # Sums instead of means: losses are divided by the global number of tokens already.
                module.set_force_sum_reduction_for_comms(True)
                module.set_gradient_divide_factor(1.0)
