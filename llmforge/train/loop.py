"""The loop: draw a batch, step in two halves, log, validate, save, and stop when asked."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from llmforge.arch.architecture import Architecture
from llmforge.arch.flops import flops_per_token
from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import Preempted
from llmforge.core.hardware import peak_rss_bytes
from llmforge.core.hashing import derive_seed
from llmforge.core.progress import Progress, progress
from llmforge.parallel.process_group import World
from llmforge.parallel.strategy import StepResult, Strategy
from llmforge.train.agreement import from_first_rank
from llmforge.train.checkpoint import Checkpoints, Position
from llmforge.train.data import TrainingData, ValidationData, micro_batches
from llmforge.train.faults import FaultInjector
from llmforge.train.guards import StopRequest, Watchdog, check_step, name_documents
from llmforge.train.layer_statistics import LayerStatistics
from llmforge.train.ledger import Ledger
from llmforge.train.metrics import MetricsFile
from llmforge.train.out_of_memory import explains_out_of_memory
from llmforge.train.plan import BatchShape, Horizon
from llmforge.train.schedules import learning_rate
from llmforge.train.spikes import find_spike, remember
from llmforge.train.status import StatusFolder
from llmforge.train.validation import Validation, validate


@dataclass(frozen=True)
class Training:
    """Everything that a training works with; made once, by the stage.

    `metrics` is None on ranks that write nothing; `after_save` is told of each published checkpoint.
    """

    settings: Settings
    arch: Architecture
    horizon: Horizon
    shape: BatchShape
    world: World
    strategy: Strategy
    data: TrainingData
    validation: ValidationData
    checkpoints: Checkpoints
    metrics: MetricsFile | None
    ledger: Ledger
    stop: StopRequest
    status: StatusFolder
    faults: FaultInjector
    after_save: Callable[[Position], None]


def run_steps(training: Training, position: Position) -> Position:
    """Take the steps from `position` to the horizon; all ranks call it.

    Returns: where it ended; a checkpoint of that position exists, and its losses stand in the metrics.
    Raises: Preempted after a requested stop was saved; DivergedError before a step that is not finite is taken.
    """
    num_steps, every = training.horizon.num_steps, training.settings.train
    pace, saved_step = _Pace(), position.step
    total = num_steps * every.global_batch_tokens
    watched = Watchdog(every.hang_timeout_s, training.world, training.status)
    with progress("train", total) as shown, watched as watchdog, training.checkpoints:
        while position.step < num_steps:
            watchdog.alive(f"after step {position.step:,}")
            if training.stop.agreed():
                raise _save_and_stop(training, position, saved_step, watchdog)
            step = position.step + 1
            last = step == num_steps
            validates = last or step % every.eval_every_steps == 0
            logs = validates or step % every.log_every_steps == 0 or step == 1
            watch = LayerStatistics() if logs and every.log_gradients else None
            with pace, explains_out_of_memory(training.settings, training.arch, training.world):
                taken = take_step(training, position, watch)
            position = taken.position
            measured = None
            if validates:
                num_tokens = None if last else every.eval_tokens
                watchdog.alive(f"validating after step {step:,}")
                measured = validate(training.strategy, training.validation, training.shape, num_tokens)
            if logs:
                _log(training, taken, measured, pace.mean_s(), shown)
            settle(training, wait=False)
            if last or position.step % every.checkpoint.every_steps == 0:
                save(training, position, watchdog)
                saved_step = position.step
        finish_publishing(training, watchdog)
    return position


@dataclass(frozen=True)
class TakenStep:
    """A step: its losses, where it led, and what it did to each parameter, if somebody looked."""

    result: StepResult
    position: Position
    layers: dict[str, dict[str, Any]] | None


def take_step(training: Training, position: Position, watch: LayerStatistics | None = None) -> TakenStep:
    """One optimizer step over the next global batch.

    Args:
        training, position: what is trained, and where it is.
        watch: looks at the update; None: nobody does.

    Raises: DivergedError if loss or gradient norm is not finite on any rank; the weights are then untouched.
    """
    settings, shape = training.settings, training.shape
    training.faults.before_step(position.step + 1)
    batches = micro_batches(training.data, shape, position.step)
    seed = derive_seed(settings.run.seed, "train", "dropout", position.step)
    scale = position.loss_scale
    factor = scale.value if scale is not None else 1.0
    result = training.strategy.forward_backward(batches, seed=seed, loss_scale=factor)
    indices = shape.global_indices(position.step)
    overflow = scale is not None and scale.overflowed(result)
    if not result.finite:
        training.strategy.discard()
        if not overflow:
            _let_publish(training)
            check_step(result, position.step + 1, training.data, indices, training.ledger)
    spikes = settings.train.spikes
    spike = None if overflow else find_spike(spikes, position.recent, result)
    reached = Position(
        position.step + 1,
        position.samples + len(indices),
        position.tokens + result.tokens,
        training.data.hash_after(position.data_hash, indices),
        position.recent if overflow else remember(spikes, position.recent, result),
        scale and scale.after(overflow=overflow),
    )
    if overflow:
        training.ledger.add("loss-scale", reached.step, reason="fp16 gradients overflowed", scale=factor / 2)
        return TakenStep(result, reached, None)
    if spike is not None:
        _pass_over(training, reached, spike)
        return TakenStep(result, reached, None)
    if watch is not None:
        watch.before_update(training.strategy)
    training.strategy.apply(step_lr(training, position.step))
    return TakenStep(result, reached, watch.after_update(training.strategy) if watch is not None else None)


def _pass_over(training: Training, reached: Position, spike: str) -> None:
    """Leave a step's data behind without learning from it, and with `rollback` what the last checkpoint had not seen.

    Steps and samples are counted on, so that the data of the steps since that checkpoint do not come again.
    """
    training.strategy.discard()
    found = None
    if training.settings.train.spikes.policy == "rollback":
        settle(training, wait=True)
        found = training.checkpoints.find(training.ledger)
    if found is not None:
        training.strategy.load(found)
    event = "skipped" if found is None else "rolled-back"
    documents = name_documents(training.data, training.shape.global_indices(reached.step - 1))
    training.ledger.add(event, reached.step, reason=spike, checkpoint=found and found.name, documents=documents)
    if training.metrics is not None:
        log.warn(f"step {reached.step:,} is {'skipped' if found is None else f'undone back to {found.name}'}: {spike}")


def save(training: Training, position: Position, watchdog: Watchdog) -> None:
    """Write a checkpoint, once the one before is published; the metrics up to it are made durable first."""
    finish_publishing(training, watchdog)
    watchdog.alive(f"saving step {position.step:,}")
    if training.metrics is not None:
        training.metrics.sync()
    training.checkpoints.save(position, training.strategy)


def finish_publishing(training: Training, watchdog: Watchdog) -> None:
    """Wait for the checkpoint that is being published."""
    watchdog.alive("publishing a checkpoint")
    settle(training, wait=True)


def settle(training: Training, *, wait: bool) -> None:
    """Do what follows on the checkpoint that was published, if one was; `wait` for the one in progress."""
    published = training.checkpoints.settle(wait=wait)
    if published is not None:
        training.after_save(published)


def _let_publish(training: Training) -> None:
    """Before all ranks stop: the checkpoint in progress comes to its end, and what failed there is told first.

    A launcher ends the others soon after one rank is gone.
    """
    try:
        settle(training, wait=True)
    finally:
        from_first_rank(0, training.world)


def _save_and_stop(training: Training, position: Position, saved_step: int, watchdog: Watchdog) -> Preempted:
    if position.step != saved_step:
        save(training, position, watchdog)
    finish_publishing(training, watchdog)
    return Preempted(
        f"stopped on request after step {position.step:,} of {training.horizon.num_steps:,}; the state is saved",
        "the same command goes on from there",
    )


def _log(training: Training, taken: TakenStep, measured: Validation | None, step_s: float, shown: Progress) -> None:
    """One line of metrics.jsonl, and the progress line."""
    position, result = taken.position, taken.result
    if training.metrics is None:
        return
    train = training.settings.train
    tokens_per_s = train.global_batch_tokens / step_s
    line: dict[str, Any] = {
        "step": position.step,
        "tokens": position.tokens,
        "epoch": position.samples / training.data.order.epoch_samples,
        "loss": result.loss,
        "grad_norm": result.grad_norm,
        "lr": step_lr(training, position.step - 1),
        "tokens_per_s": tokens_per_s,
        "step_s": step_s,
        "mfu": model_flops_utilization(training, tokens_per_s),
        "peak_memory_bytes": peak_memory_bytes(training.world.device),
        "data_hash": position.data_hash,
    }
    if measured is not None:
        line |= measured.figures()
    if position.loss_scale is not None:
        line["loss_scale"] = position.loss_scale.value
    if taken.layers is not None:
        line["layers"] = taken.layers
    training.metrics.add(line)
    shown.update(position.tokens, f"tokens, loss {result.loss:.3f}, {tokens_per_s:,.0f} tokens/s")


def step_lr(training: Training, steps_taken: int) -> float:
    """The learning rate of the step that follows `steps_taken` (count) earlier ones."""
    train = training.settings.train
    return learning_rate(steps_taken, training.horizon.num_steps, train.optimizer.lr, train.schedule)


def model_flops_utilization(training: Training, tokens_per_s: float) -> float | None:
    """Share of the devices' peak that the model's FLOPs take; None where no peak is known."""
    peak = training.settings.plan_scaling.device_flops_per_s
    if peak is None:
        return None
    return flops_per_token(training.arch).palm * tokens_per_s / (peak * training.world.size)


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory that this process used so far: the GPU's where there is one, else the process's (bytes)."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else peak_rss_bytes()


class _Pace:
    """Seconds that steps take, without validation and saving: `with pace:` around each step."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._start_s = 0.0

    def __enter__(self) -> None:
        self._start_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds.append(time.perf_counter() - self._start_s)

    def mean_s(self) -> float:
        """Mean of the steps since the last call."""
        mean = sum(self._seconds) / len(self._seconds)
        self._seconds.clear()
        return mean
