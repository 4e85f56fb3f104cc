"""What a training will be, before torch is loaded: architecture, horizon, and how a batch is spread."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmforge.arch.architecture import Architecture
from llmforge.arch.params import count_parameters
from llmforge.arch.presets import resolve_architecture
from llmforge.arch.vocabulary import expected_vocab_size
from llmforge.config.schema import Settings
from llmforge.config.train import TrainSection
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import read_json
from llmforge.curate.sources import name_sources
from llmforge.pipeline.inputs import open_artifact

# Weights and the two moments of Adam, four bytes each: what a checkpoint holds for every parameter.
CHECKPOINT_BYTES_PER_PARAM = 12


@dataclass(frozen=True)
class Horizon:
    """How long to train.

    Attributes:
        tokens: what was asked for (count).
        num_steps: optimizer steps that reach it (count); the last one is whole.
        reason: where the number comes from.
    """

    tokens: int
    num_steps: int
    reason: str


@dataclass(frozen=True)
class BatchShape:
    """How one global batch is spread.

    Attributes:
        global_sequences: sequences of one optimizer step (count).
        micro_sequences: sequences of one forward pass of a rank (count).
        data_rank, data_world: the data coordinate of this rank, and how many there are.
    """

    global_sequences: int
    micro_sequences: int
    data_rank: int = 0
    data_world: int = 1

    @property
    def accumulation(self) -> int:
        """Forward passes of a rank in one step (count)."""
        return self.global_sequences // (self.micro_sequences * self.data_world)

    def global_indices(self, step: int) -> NDArray[np.int64]:
        """Samples of the step that follows `step` earlier ones, over all ranks."""
        return np.arange(step * self.global_sequences, (step + 1) * self.global_sequences, dtype=np.int64)

    def local_indices(self, step: int) -> NDArray[np.int64]:
        """Samples of the step that this rank draws, one row a micro-batch."""
        mine = np.split(self.global_indices(step), self.data_world)[self.data_rank]
        return mine.reshape(self.accumulation, self.micro_sequences)


def batch_shape(train: TrainSection, context: int, data_rank: int = 0, data_world: int = 1) -> BatchShape:
    """Spread `global_batch_tokens` over ranks and forward passes.

    Args:
        train: the settings.
        context: tokens of a sequence (count).
        data_rank, data_world: the data coordinate of this rank, and how many there are.

    Raises: SettingsError naming the nearest value that comes out even.
    """
    per_pass = train.micro_batch_sequences * data_world
    sequences, rest = divmod(train.global_batch_tokens, context)
    if rest or sequences % per_pass or sequences == 0:
        unit = per_pass * context
        lower = max(unit, train.global_batch_tokens // unit * unit)
        fitting = [n for n in range(1, sequences // data_world + 1) if sequences % (n * data_world) == 0]
        near = min(fitting, key=lambda n: abs(n - train.micro_batch_sequences), default=None)
        other = f", or train.micro_batch_sequences to {near}" if near and not rest else ""
        raise SettingsError(
            f"train.global_batch_tokens is {train.global_batch_tokens:,}, which is no multiple of "
            f"{train.micro_batch_sequences} sequences x {context} tokens x {data_world} processes = {unit:,}",
            f"set train.global_batch_tokens to {' or '.join(f'{n:,}' for n in sorted({lower, lower + unit}))}{other}",
        )
    return BatchShape(sequences, train.micro_batch_sequences, data_rank, data_world)


def plan_horizon(settings: Settings, arch: Architecture) -> Horizon:
    """How long to train: `train.tokens`, or what the plan recommends.

    Raises: InputError if the plan is missing, or was made for a model of another size.
    """
    tokens, reason = settings.train.tokens, "train.tokens says so"
    if tokens == "auto":
        tokens, reason = _planned_tokens(settings, count_parameters(arch).total)
    return Horizon(tokens, -(-tokens // settings.train.global_batch_tokens), reason)


def _planned_tokens(settings: Settings, num_params: int) -> tuple[int, str]:
    plan = read_json(open_artifact(settings.run_folder, "plan-scaling").folder / "plan.json")
    recommended = plan["recommended"]
    if recommended["params"] != num_params:
        raise InputError(
            f"train.tokens is auto, but the plan is for a model of {recommended['params']:,} parameters, "
            f"and the model section makes one of {num_params:,}",
            "take the plan's model (recommended.yaml in plan-scaling/), plan again, or set train.tokens",
        )
    reason = f"the plan recommends them for {num_params:,} parameters ({recommended['tokens'] / num_params:.1f} each)"
    return int(recommended["tokens"]), reason


def source_weights(settings: Settings) -> dict[str, float]:
    """How often an epoch draws each source, by name, where the settings say anything but once."""
    sources = settings.curate.sources
    if all(source.weight == 1.0 for source in sources):
        return {}  # names that come from paths need not be found
    named = zip(name_sources(sources), sources, strict=True)
    return {name: source.weight for name, source in named if source.weight != 1.0}


def resolve_model(settings: Settings) -> Architecture:
    """The architecture for the tokenizer at hand, or, before there is one, for the vocabulary that is asked for."""
    vocab_size = expected_vocab_size(settings)
    index = settings.run_folder / "tokenize" / "index.json"
    if index.exists():
        vocab_size = int(read_json(index)["vocab_size"])
    return resolve_architecture(settings.model, vocab_size)
