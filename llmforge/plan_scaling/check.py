"""Plan against fact: what was predicted for a run, beside what its training measured."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from llmforge.arch.architecture import Architecture
from llmforge.arch.flops import flops_per_token
from llmforge.arch.memory import Layout, training_memory
from llmforge.arch.params import count_parameters
from llmforge.arch.strategies import strategies_on
from llmforge.config.plan_scaling import PlanScalingSection
from llmforge.pipeline.manifest import Manifest
from llmforge.plan_scaling.answers import own_law
from llmforge.plan_scaling.laws import REPLICATION, predict_loss
from llmforge.plan_scaling.repeated import effective_tokens
from llmforge.plan_scaling.utilization import choose_utilization

# Settings of train.parallel that memory follows, called there as in a layout.
_AXES = ("replicate", "shard", "tensor", "pipeline")
_KEPT = ("sequence_parallel", "vocabulary_parallel_loss")


@dataclass(frozen=True)
class Comparison:
    """One figure, predicted and measured; null where it is not known.

    `note` says what the two rest on; `comparable` is false where the measurement holds more than was predicted.
    """

    name: str
    unit: str
    predicted: float | None
    measured: float | None
    note: str
    comparable: bool = True

    @property
    def error(self) -> float | None:
        """The prediction's relative error; None where one of the two is missing, or they do not compare."""
        if self.predicted is None or not self.measured or not self.comparable:
            return None
        return self.predicted / self.measured - 1

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values."""
        return {**asdict(self), "error": self.error}


@dataclass(frozen=True)
class Trained:
    """What is known of a training: its architecture, manifest, lines of metrics, and unique tokens at hand."""

    arch: Architecture
    manifest: Manifest
    metrics: Sequence[dict[str, Any]]
    unique_tokens: int

    @property
    def tokens_per_s(self) -> float:
        """Median speed, without the first line, which pays for starting."""
        return float(median(line["tokens_per_s"] for line in self.metrics[1:] or self.metrics))


def compare(section: PlanScalingSection, trained: Trained) -> list[Comparison]:
    """Speed, memory of a rank, loss and the time to go, each predicted and measured."""
    return [
        _speed(section, trained),
        _device_use(section, trained),
        _memory(trained),
        _loss(section, trained),
        _time_left(trained),
    ]


def _speed(section: PlanScalingSection, trained: Trained) -> Comparison:
    params = count_parameters(trained.arch).total
    processes = trained.manifest.execution["processes"]
    name, unit, measured = "speed", "tokens/s", trained.tokens_per_s
    if section.device_flops_per_s is None:
        used = measured * flops_per_token(trained.arch).six_n / processes
        note = f"a plan with plan_scaling.device_flops_per_s={used:.3g} and plan_scaling.utilization=1 gives this speed"
        return Comparison(name, unit, None, measured, note)
    share = choose_utilization(section, params)
    predicted = processes * section.device_flops_per_s * share.value / flops_per_token(trained.arch).six_n
    return Comparison(name, unit, predicted, measured, f"{share.value:.1%} of the peak: {share.reason}")


def _device_use(section: PlanScalingSection, trained: Trained) -> Comparison:
    """The share of the peak that 6ND takes, against the share that the plan assumes."""
    name, unit, peak = "use of the peak", "share", section.device_flops_per_s
    if peak is None:
        return Comparison(name, unit, None, None, "the peak of a device is not set")
    predicted = choose_utilization(section, count_parameters(trained.arch).total).value
    flops_per_s = trained.tokens_per_s * flops_per_token(trained.arch).six_n
    return Comparison(name, unit, predicted, flops_per_s / (peak * trained.manifest.execution["processes"]), "6ND")


def _memory(trained: Trained) -> Comparison:
    execution, arch = trained.manifest.execution, trained.arch
    sequences, layout = trained.manifest.settings["micro_batch_sequences"], _layout(trained)
    measured = max(line["peak_memory_bytes"] for line in trained.metrics)
    note = f"{execution['strategy']}, {execution['precision']}, {sequences} sequences in one forward pass"
    is_process = execution["device"] == "cpu"
    if is_process:
        note += "; measured is the whole process, with interpreter and libraries"
    if layout is None:
        return Comparison("memory of a rank", "bytes", None, measured, f"{note}; no closed form for this layout")
    predicted = training_memory(arch, sequences, layout, execution["precision"], gpu=not is_process).total
    return Comparison("memory of a rank", "bytes", predicted, measured, note, comparable=not is_process)


def _layout(trained: Trained) -> Layout | None:
    """How the training was spread; None where its settings leave a degree open that its strategy's name does not give.

    A name stands for its usual degrees; degrees that the settings give count if together they make all processes.
    """
    arch, train, world = trained.arch, trained.manifest.settings, trained.manifest.execution["processes"]
    passes = train["global_batch_tokens"] // (train["micro_batch_sequences"] * arch.context)
    named = strategies_on(arch, world, passes).layouts.get(trained.manifest.execution["strategy"])
    parallel, zero = train.get("parallel", {}), train.get("zero", {})
    given = {axis: parallel[axis] for axis in _AXES if parallel.get(axis) is not None}
    if named is None or any(getattr(named, axis) != degree for axis, degree in given.items()):
        named = Layout(**given)
        named = replace(named, micro_batches=max(1, passes // (named.replicate * named.shard)))
    if named.world != world:
        return None
    kept = {name: parallel[name] for name in _KEPT if name in parallel}
    return replace(named, recompute=parallel.get("activation_checkpointing", "none"), **kept, **_offloaded(named, zero))


def _offloaded(layout: Layout, zero: dict[str, Any]) -> dict[str, bool]:
    return {} if layout.zero_stage is None else {"offload": zero.get("offload_optimizer", False)}


def _loss(section: PlanScalingSection, trained: Trained) -> Comparison:
    results = trained.manifest.results
    name, unit = "validation loss", "nats per token"
    if trained.manifest.state != "finished":
        return Comparison(name, unit, None, None, "known when the training has finished: losses fall with the rate")
    params, tokens = results["params"], results["tokens"]
    worth = effective_tokens(tokens, trained.unique_tokens)
    if (law := own_law(section)) is not None:
        return Comparison(name, unit, law.loss(params, worth), results["val_loss"], "plan_scaling.own_law")
    predicted = predict_loss(params, tokens, worth)
    note = f"{REPLICATION.name}, whose text and tokenizer are others"
    if predicted is None:
        note = "no prediction: over 100 times smaller than any run that the law was fitted on"
    return Comparison(name, unit, predicted, results["val_loss"], note)


def _time_left(trained: Trained) -> Comparison:
    """Seconds to the end of the training, at the measured speed."""
    execution = trained.manifest.execution
    batch = trained.manifest.settings["global_batch_tokens"]
    left = max(0, execution["num_steps"] * batch - trained.metrics[-1]["tokens"])
    note = f"{left:,} tokens to go, at the measured speed"
    return Comparison("time to go", "s", None, left / trained.tokens_per_s, note)
