"""Pipeline parallelism: where the model is cut, and the order in which stages work through micro-batches.

Schedules are torch's own (GPipe, 1F1B, interleaved 1F1B, zero bubble). `model`, plain model parallelism, is the same
pipeline given one micro-batch at a time.

Source: Huang et al. 2019 (GPipe); Narayanan et al. 2021 (Megatron-LM), section 2.2 (1F1B and interleaved 1F1B); Qi et
al. 2023, section 2 (zero bubble: gradients of weights are computed where a rank would wait).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleGPipe,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
)

from llmforge.model.layout import FIRST_STAGE, LAST_STAGE
from llmforge.model.transformer import Transformer
from llmforge.parallel.strategy import MicroBatch

_SCHEDULES: dict[str, Any] = {
    "gpipe": ScheduleGPipe,
    "1f1b": Schedule1F1B,
    "interleaved_1f1b": ScheduleInterleaved1F1B,
    "zero_bubble": ScheduleInterleavedZeroBubble,
}


def stage_blocks(layers: int, num_stages: int, stage: int) -> range:
    """The blocks of a stage; the first stages have one more where the layers do not divide."""
    each, more = divmod(layers, num_stages)
    start = stage * each + min(stage, more)
    return range(start, start + each + (stage < more))


def stage_of(name: str, layers: int, num_stages: int) -> int:
    """The stage that owns a parameter; a tied one belongs to the first stage."""
    module, _, rest = name.partition(".")
    if module in FIRST_STAGE:
        return 0
    if module in LAST_STAGE:
        return num_stages - 1
    block = int(rest.partition(".")[0])
    return next(stage for stage in range(num_stages) if block in stage_blocks(layers, num_stages, stage))


def cut(model: Transformer, num_stages: int, stage: int) -> None:
    """Leave of a model what one stage computes."""
    kept = stage_blocks(model.arch.layers, num_stages, stage)
    for index in range(model.arch.layers):
        if index not in kept:
            del model.blocks[str(index)]
    for name in (() if stage == 0 else FIRST_STAGE) + (() if stage == num_stages - 1 else LAST_STAGE):
        setattr(model, name, None)


class Pipeline:
    """The stages of this rank among those of the other ranks of its pipeline.

    Args:
        chunks: this rank's stages by number, wrapped as they are for data parallelism.
        num_stages: over all ranks (count).
        group: the ranks of the pipeline.
        schedule: a name in `ParallelSection.schedule`.
        one_at_a_time: keep one micro-batch in flight.
        dim: width of the hidden states that are handed on.
        device: where the stages are.
    """

    def __init__(
        self,
        chunks: Mapping[int, nn.Module],
        num_stages: int,
        group: dist.ProcessGroup,
        schedule: str,
        *,
        one_at_a_time: bool,
        dim: int,
        device: torch.device,
    ) -> None:
        self._chunks, self._num_stages, self._group, self._schedule = chunks, num_stages, group, schedule
        self._one_at_a_time, self._dim, self._device = one_at_a_time, dim, device
        self._schedules: dict[tuple[int, torch.Size, bool], Any] = {}
        self._scale = 0.0
        self._losses: list[Tensor] = []

    def train(self, micro_batches: Sequence[MicroBatch], scale: float) -> Tensor:
        """Forward and backward passes; losses are multiplied by `scale` for the gradients.

        Returns: this rank's sum of the losses, fp64; 0 but on the last stage.
        """
        self._scale = scale
        runs = [[batch] for batch in micro_batches] if self._one_at_a_time else [micro_batches]
        return self._total([self._run(run, backward=True) for run in runs])

    def evaluate(self, batch: MicroBatch) -> Tensor:
        """Forward passes; returns as `train` does."""
        return self._total([self._run([batch], backward=False)])

    def _run(self, batches: Sequence[MicroBatch], *, backward: bool) -> list[Tensor]:
        schedule = self._prepared(len(batches), batches[0].tokens_BT.shape, backward)
        tokens = torch.cat([batch.tokens_BT for batch in batches]).to(self._device)
        targets = torch.cat([batch.targets_BT for batch in batches]).to(self._device)
        self._losses = []
        arguments = (tokens,) if 0 in self._chunks else ()
        target = targets if self._num_stages - 1 in self._chunks else None
        run = schedule.step if backward else schedule.eval
        masks = [batch.masks(self._device) for batch in batches]
        documents = {name: torch.cat([mask[name] for mask in masks]) for name in masks[0]}
        run(*arguments, targets_BT=targets, **documents, target=target, return_outputs=False)
        return self._losses

    def _prepared(self, num_micro_batches: int, shape: torch.Size, backward: bool) -> Any:
        """The schedule for this number of micro-batches of this shape, made when it is first met."""
        key = (num_micro_batches, shape, backward)
        if key not in self._schedules:
            stages = [self._stage(stage, shape) for stage in self._chunks]
            name, given = self._schedule, stages[0] if len(stages) == 1 else stages
            if name == "1f1b" and num_micro_batches < self._num_stages:
                name = "gpipe"  # so few micro-batches are all under way before the first comes back: it is the same
            self._schedules[key] = _SCHEDULES[name](
                given, num_micro_batches, loss_fn=self._keep_loss, scale_grads=False
            )
        return self._schedules[key]

    def _stage(self, stage: int, shape: torch.Size) -> PipelineStage:
        """A stage with the shapes that it takes and gives, so that no pass is spent on finding them out."""
        hidden = torch.empty(*shape, self._dim, device="meta", requires_grad=True)
        tokens, loss = torch.empty(shape, dtype=torch.int64, device="meta"), torch.empty((), device="meta")
        return PipelineStage(
            self._chunks[stage],
            stage,
            self._num_stages,
            self._device,
            input_args=tokens if stage == 0 else hidden,
            output_args=loss if stage == self._num_stages - 1 else hidden,
            group=self._group,
        )

    def _keep_loss(self, loss: Tensor, _targets: Tensor) -> Tensor:
        """The last stage gives the loss itself, as its head is its own."""
        self._losses.append(loss.detach())
        return loss * self._scale

    def _total(self, runs: Sequence[Sequence[Tensor]]) -> Tensor:
        zero = torch.zeros((), dtype=torch.float64, device=self._device)
        return sum((loss for losses in runs for loss in losses), start=zero)
