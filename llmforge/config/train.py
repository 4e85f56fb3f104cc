"""`train`: strategy, batch, horizon, optimizer, schedule, checkpoints."""

from typing import Literal

from pydantic import Field

from llmforge.config.base import Section, execution
from llmforge.config.zero import ZeroSection


class OptimizerSection(Section):
    """The optimizer."""

    name: Literal["adamw"] = Field("adamw", description="adamw: Adam with decoupled weight decay")
    lr: float = Field(6e-4, gt=0, le=10, description="peak learning rate")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.95, ge=0, lt=1, description="decay of the second moment")
    eps: float = Field(1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(0.1, ge=0, le=10, description="on matrices only, not on biases and norms")


class ScheduleSection(Section):
    """The learning rate over the steps."""

    name: Literal["cosine"] = Field("cosine", description="linear warm-up, then cosine")
    warmup_fraction: float = Field(0.05, ge=0, lt=1, description="share of the steps that warms up")
    final_lr_fraction: float = Field(0.1, ge=0, le=1, description="learning rate at the end, of the peak")


class CheckpointSection(Section):
    """When to save, and what to keep."""

    every_steps: int = execution(200, ge=1, description="steps between checkpoints; the last step is always saved")
    keep_last: int = execution(2, ge=1, description="newest checkpoints to keep")


class TrainSection(Section):
    """How to train."""

    strategy: Literal["auto", "single", "ddp", "zero1", "zero2", "zero3"] = execution(
        "auto", description="how a step is spread over processes"
    )
    nproc: int | None = execution(None, ge=1, le=4096, description="processes; null: one a device")
    global_batch_tokens: int = Field(16384, ge=1, description="tokens of one optimizer step, over all processes")
    micro_batch_sequences: int = execution(8, ge=1, description="sequences in one forward pass of a process")
    tokens: int | Literal["auto"] = execution("auto", description="training tokens; auto: from the plan")
    precision: Literal["auto", "fp32", "bf16"] = execution("auto", description="auto: the faster one, measured")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this global norm")
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    checkpoint: CheckpointSection = CheckpointSection()
    zero: ZeroSection = ZeroSection()
    log_every_steps: int = execution(10, ge=1, description="steps between lines of metrics.jsonl")
    eval_every_steps: int = execution(100, ge=1, description="steps between validations")
    eval_tokens: int = execution(131072, ge=1, description="validation tokens at most; the last step takes all")
    threads: int | None = execution(None, ge=1, description="CPU threads of a process; null: cores / processes")
