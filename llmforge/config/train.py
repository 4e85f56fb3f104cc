"""`train`: strategy, batch, horizon, optimizer, schedule, checkpoints."""

from typing import Any, Literal

from pydantic import Field, model_validator

from llmforge.config.base import Section, execution
from llmforge.config.parallel import ParallelSection
from llmforge.config.zero import ZeroSection

_OPTIMIZER_DEFAULTS: dict[str, dict[str, float]] = {
    "sgd": {"lr": 0.3, "weight_decay": 0.0},
    "momentum": {"lr": 0.03, "weight_decay": 0.0, "momentum": 0.9},
    "nesterov": {"lr": 0.03, "weight_decay": 0.0, "momentum": 0.9},
    "adam": {"weight_decay": 0.0},
    "rmsprop": {"weight_decay": 0.0, "beta2": 0.99},
    "adagrad": {"lr": 1e-2, "weight_decay": 0.0, "eps": 1e-10},
    "lion": {"lr": 1e-4, "weight_decay": 0.6, "beta2": 0.99},
}
"""Where an optimizer's defaults are not those of the fields, which are AdamW's and Muon's."""


class OptimizerSection(Section):
    """The optimizer; what is left out has a default that depends on its name."""

    name: Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop", "adagrad", "lion", "muon"] = Field(
        "adamw", description="adamw; muon: orthogonal updates of the blocks' matrices, AdamW for the rest; or a classic"
    )
    lr: float = Field(6e-4, gt=0, le=10, description="peak learning rate; the default is AdamW's and Muon's")
    momentum: float = Field(0.95, ge=0, lt=1, description="decay of momentum, nesterov and muon (0.9; muon: 0.95)")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment: adam, adamw, lion, muon's AdamW")
    beta2: float = Field(0.95, ge=0, lt=1, description="decay of the second moment, or of lion's momentum")
    eps: float = Field(1e-8, gt=0, description="added to the denominator")
    weight_decay: float = Field(
        0.1, ge=0, le=10, description="on matrices only, not on biases and norms; 0 for sgd, adam, rmsprop, adagrad"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_name(cls, values: Any) -> Any:
        """Fill in what the named optimizer needs and the user left out."""
        return _OPTIMIZER_DEFAULTS.get(str(values.get("name")), {}) | values if isinstance(values, dict) else values


class ScheduleSection(Section):
    """The learning rate over the steps."""

    name: Literal["constant", "linear", "cosine", "wsd", "inverse_sqrt"] = Field(
        "cosine", description="shape after the linear warm-up; wsd: stable, then a linear decay"
    )
    warmup_fraction: float = Field(0.05, ge=0, lt=1, description="share of the steps that warms up")
    decay_fraction: float = Field(0.2, gt=0, le=1, description="share of the steps that decays, for wsd")
    final_lr_fraction: float = Field(
        0.1, ge=0, le=1, description="learning rate at the end, of the peak; constant and inverse_sqrt do without"
    )


class CheckpointSection(Section):
    """When to save, and what to keep."""

    every_steps: int = execution(200, ge=1, description="steps between checkpoints; the last step is always saved")
    keep_last: int = execution(2, ge=1, description="newest checkpoints to keep")
    keep_every_steps: int | None = execution(
        None, ge=1, description="checkpoints of multiples of this step stay for good; null: none"
    )
    samples: bool = execution(
        False, description="the model of each checkpoint writes a few texts into samples.jsonl, not of the last alone"
    )


class SpikeSection(Section):
    """What to do with a step whose loss or gradient norm stands far above those before it."""

    policy: Literal["none", "skip", "rollback"] = Field(
        "none", description="skip: drop the step's gradients; rollback: to the last checkpoint's weights, data goes on"
    )
    deviations: float = Field(6.0, gt=0, description="a spike is this many standard deviations above the mean")
    window_steps: int = Field(128, ge=4, description="steps that mean and deviation are taken over")


_NOT_UNDER_ZERO = {
    "muon": "ZeRO shows the optimizer flat pieces of weights, and muon needs whole matrices",
    "adagrad": "its sums are made with the optimizer, before ZeRO cuts the weights into pieces",
}


COMPILED_UNDER = ("single", "ddp", "fsdp")
"""Strategies whose blocks can be compiled; under the others, collectives and schedules run inside them."""

FP16_UNDER_ZERO = "DeepSpeed scales fp16 losses by itself and skips steps in silence; use bf16, or fsdp"


class TrainSection(Section):
    """How to train."""

    strategy: Literal[
        "auto",
        "single",
        "ddp",
        "fsdp",
        "model",
        "pipeline",
        "tensor",
        "2d",
        "3d",
        "zero1",
        "zero2",
        "zero3",
    ] = execution("auto", description="how a step is spread over processes")
    nproc: int | None = execution(None, ge=1, le=4096, description="processes of a machine; null: one a device")
    nodes: int = execution(1, ge=1, le=4096, description="machines; with several, each starts its own launcher")
    global_batch_tokens: int = Field(16384, ge=1, description="tokens of one optimizer step, over all processes")
    micro_batch_sequences: int = execution(8, ge=1, description="sequences in one forward pass of a process")
    tokens: int | Literal["auto"] = execution("auto", description="training tokens; auto: from the plan")
    packing: Literal["concatenate", "best_fit"] = Field(
        "concatenate", description="rows: documents end to end, cut anywhere; best_fit: cut if longer than a row only"
    )
    document_mask: bool = Field(
        False, description="attention stays within a document, and learned positions begin anew with each"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = execution(
        "auto", description="auto: the faster one, measured; fp16 scales the loss, and is for GPUs without bf16"
    )
    compile: bool | Literal["auto"] = execution(
        "auto", description="torch.compile the blocks (single, ddp, fsdp); auto: in long trainings where it pays"
    )
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are scaled down to this global norm")
    optimizer: OptimizerSection = OptimizerSection()
    schedule: ScheduleSection = ScheduleSection()
    checkpoint: CheckpointSection = CheckpointSection()
    parallel: ParallelSection = ParallelSection()
    zero: ZeroSection = ZeroSection()
    spikes: SpikeSection = SpikeSection()
    log_every_steps: int = execution(10, ge=1, description="steps between lines of metrics.jsonl")
    log_gradients: bool = execution(
        False, description="logged lines tell each parameter's gradient norm, weight norm and update-to-weight ratio"
    )
    report_to: tuple[Literal["tensorboard", "wandb"], ...] = execution(
        (), description="shows metrics.jsonl elsewhere, too: tensorboard, wandb; neither can stop a run"
    )
    eval_every_steps: int = execution(100, ge=1, description="steps between validations")
    eval_tokens: int = execution(131072, ge=1, description="validation tokens at most; the last step takes all")
    hang_timeout_s: float = execution(
        1800.0, gt=0, le=1e6, description="a rank that takes no step, evaluates and saves nothing for so long is ended"
    )
    threads: int | None = execution(None, ge=1, description="CPU threads of a process; null: cores / processes")

    @model_validator(mode="after")
    def _optimizer_fits_the_strategy(self) -> "TrainSection":
        """Refuse an optimizer that a strategy cannot carry out, before anything is launched."""
        reason = _NOT_UNDER_ZERO.get(self.optimizer.name)
        if reason and self.strategy.startswith("zero"):
            raise ValueError(f"{self.optimizer.name} does not work under {self.strategy}: {reason}; use fsdp instead")
        if self.precision == "fp16" and self.strategy.startswith("zero"):
            raise ValueError(f"fp16 does not work under {self.strategy}: {FP16_UNDER_ZERO}")
        return self
