"""The proof that strategies agree: the same model, the same batches, one process and many, compared number by number.

A model of the given family, small, starts from the same bits everywhere. Batches have uneven numbers of valid tokens
and are split into micro-batches; clipping is active in the training runs. Each world is started once.

Gradients and losses are held to fp32's rounding. Weights after many steps cannot be: training amplifies rounding (in
fp64 the same runs agree to 1e-14). They are judged by how far they moved, and one process that takes its micro-batches
backwards stands in the table as the measure of what another order of summation does by itself.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from llmforge.arch.architecture import Architecture
from llmforge.config.train import TrainSection
from llmforge.core.hashing import derive_seed
from llmforge.model.transformer import Transformer
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.process_group import World
from llmforge.parallel.strategies import create_strategy
from llmforge.parallel.strategy import IGNORE, BuildOptimizer, MicroBatch, Strategy

_BACKWARDS = "single, backwards"
_SLICED = {"sequence_parallel": True, "vocabulary_parallel_loss": True}
_OFFLOAD3 = {"offload_optimizer": True, "offload_parameters": True}

_ALONE: dict[str, dict[str, Any]] = {"single": {"strategy": "single"}, _BACKWARDS: {"strategy": "single"}}
CASES: dict[int, dict[str, dict[str, Any]]] = {
    2: {
        "ddp": {"strategy": "ddp"},
        "fsdp": {"strategy": "fsdp"},
        "model": {"strategy": "model"},
        "pipeline gpipe": {"strategy": "pipeline", "parallel": {"schedule": "gpipe"}},
        "pipeline 1f1b": {"strategy": "pipeline"},
        "pipeline interleaved": {"strategy": "pipeline", "parallel": {"schedule": "interleaved_1f1b"}},
        "pipeline zero bubble": {"strategy": "pipeline", "parallel": {"schedule": "zero_bubble"}},
        "tensor": {"strategy": "tensor"},
        "tensor sliced": {"strategy": "tensor", "parallel": _SLICED},
        "zero1": {"strategy": "zero1"},
        "zero2": {"strategy": "zero2"},
        "zero3": {"strategy": "zero3"},
        "zero3 recompute": {"strategy": "zero3", "parallel": {"activation_checkpointing": "full"}},
        "zero2 offload": {"strategy": "zero2", "zero": {"offload_optimizer": True}},
        "zero3 offload": {"strategy": "zero3", "zero": _OFFLOAD3},
    },
    4: {
        "fsdp": {"strategy": "fsdp"},
        "fsdp hybrid": {"strategy": "fsdp", "parallel": {"replicate": 2}},
        "pipeline 1f1b": {"strategy": "pipeline"},
        "tensor": {"strategy": "tensor"},
        "2d": {"strategy": "2d"},
        "2d data x tensor": {"strategy": "2d", "parallel": {"shard": 2, "tensor": 2, **_SLICED}},
        "2d data x pipeline": {"strategy": "2d", "parallel": {"replicate": 2, "pipeline": 2}},
        "zero3": {"strategy": "zero3"},
    },
    8: {
        "2d": {"strategy": "2d"},
        "3d": {"strategy": "3d"},
        "3d sliced": {"strategy": "3d", "parallel": _SLICED},
    },
}
"""What is compared on each number of processes: a row's name, and what the settings' train section says."""

TOLERANCES = {"loss": 1e-5, "gradients": 1e-5, "grad_norm": 1e-5, "sgd": 2e-4}
"""Largest deviations.

Rounding alone takes SGD's weights up to 6e-5 of their way apart in 20 steps (Llama 2, PaLM). AdamW's have no limit, as
it divides small gradients by small gradients.
"""

NUM_STEPS = 20
_SEQUENCES, _ACCUMULATION, _CONTEXT, _VOCAB, _SEED = 16, 4, 32, 128, 7
_MAX_GRAD_NORM = 0.5
_SGD_LR = 0.1
"""With clipping, no step is longer than a third of a token's first embedding: at 0.3 rare embeddings passed near zero,
where a norm multiplies rounding by thousands, and losses of equal strategies came out 1e-5 apart."""

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Measured:
    """What one strategy computed on one rank; arrays are those of rank 0, empty on the others."""

    gradients: Arrays
    grad_norm: float
    losses: list[float]
    start: Arrays
    sgd: Arrays
    adamw: Arrays
    state_bytes: int
    seconds: float


@dataclass(frozen=True)
class ParityRow:
    """How far a strategy is from one process.

    Attributes:
        strategy, processes: what was run.
        loss: largest relative difference of the losses of all steps.
        gradients: largest difference of a raw gradient tensor, of the larger of its norm and a thousandth of the
            global norm.
        grad_norm: relative difference of the global norm, before clipping.
        sgd, adamw: largest difference of a weight tensor after all steps, of the larger of the distance that it moved
            and a thousandth of the distance that all of them moved.
        state_bytes: weights, gradients and optimizer states of the fullest rank (bytes).
        seconds: that all of it took.
    """

    strategy: str
    processes: int
    loss: float
    gradients: float
    grad_norm: float
    sgd: float
    adamw: float
    state_bytes: int
    seconds: float

    @property
    def misses(self) -> list[str]:
        """The quantities that are further off than allowed; NaN is."""
        return [name for name, allowed in TOLERANCES.items() if not getattr(self, name) <= allowed]


def run_parity(arch: Architecture, worlds: Sequence[int], *, timeout_s: float = 1200.0) -> list[ParityRow]:
    """Compare strategies with one process.

    Args:
        arch: the model, of which `shrink` makes a small one.
        worlds: numbers of processes, keys of `CASES`.
        timeout_s: for each world.

    Returns: a row a strategy, after those of one process itself, and of one that takes its micro-batches backwards.
    Raises: MachineError if a process fails or the time is over.
    """
    small = shrink(arch)
    one = run_in_processes(measure_all, 1, small, NUM_STEPS, timeout_s=timeout_s)[0]
    rows = compare([one], one)
    for size in worlds:
        rows += compare(run_in_processes(measure_all, size, small, NUM_STEPS, timeout_s=timeout_s), one)
    return rows


def _cases(size: int) -> dict[str, dict[str, Any]]:
    """What can be run on a number of processes here."""
    cases = _ALONE if size == 1 else CASES[size]
    return {name: train for name, train in cases.items() if not name.startswith("zero") or _has_deepspeed()}


def _has_deepspeed() -> bool:
    return find_spec("deepspeed") is not None


def shrink(arch: Architecture) -> Architecture:
    """A model of the same make that eight processes of a laptop can split in every way."""
    heads, head_dim = 8, 8
    shares_all, shares_none = arch.kv_heads == 1, arch.kv_heads == arch.heads
    return replace(
        arch,
        layers=4,
        dim=heads * head_dim,
        heads=heads,
        kv_heads=1 if shares_all else heads if shares_none else 2,
        head_dim=head_dim,
        ffn_dim=heads * head_dim * (3 if arch.activation == "swiglu" else 4),
        context=_CONTEXT,
        vocab_size=_VOCAB,
        vocab_padding=5,
        band_tokens=None if arch.band_tokens is None else _CONTEXT // 4,
        dropout=0.0,
    )


def measure_all(world: World, arch: Architecture, num_steps: int) -> dict[str, Measured]:
    """All cases of one world, one after the other."""
    cases = _cases(world.size)
    return {name: measure(world, train, arch, num_steps, name == _BACKWARDS) for name, train in cases.items()}


def measure(
    world: World, train: Mapping[str, Any], arch: Architecture, num_steps: int, backwards: bool = False
) -> Measured:
    """Raw gradients of a first step, and two short trainings.

    Args:
        world: this process among the others.
        train: the settings of the train section.
        arch: the small model.
        num_steps: of the training with SGD; half of them with AdamW.
        backwards: take the micro-batches of a step in the opposite order.
    """
    start_s = time.perf_counter()
    order = -1 if backwards else 1
    strategy = _prepared(world, train, arch, _sgd)
    start = _arrays(strategy.full_state(), world)
    result = strategy.forward_backward(_share(strategy, 0)[::order], seed=0)
    gradients = _arrays(strategy.gradients(), world)
    strategy.discard()
    losses, _, sgd = _train(strategy, _SGD_LR, num_steps, order, world)
    adam_losses, held, adamw = _train(_prepared(world, train, arch, _adamw), 3e-3, num_steps // 2, order, world)
    seconds = time.perf_counter() - start_s
    return Measured(gradients, result.grad_norm, losses + adam_losses, start, sgd, adamw, held, seconds)


def _train(strategy: Strategy, lr: float, num_steps: int, order: int, world: World) -> tuple[list[float], int, Arrays]:
    """Losses, bytes of the model state with all gradients there, and the weights at the end."""
    losses, state_bytes = [], 0
    for step in range(num_steps):
        losses.append(strategy.forward_backward(_share(strategy, step)[::order], seed=step).loss)
        state_bytes = sum(strategy.state_bytes().values())
        strategy.apply(lr)
    return losses, state_bytes, _arrays(strategy.full_state(), world)


def _prepared(world: World, train: Mapping[str, Any], arch: Architecture, optimizer: BuildOptimizer) -> Strategy:
    section = TrainSection.model_validate({**train, "max_grad_norm": _MAX_GRAD_NORM})
    strategy = create_strategy(section, precision="fp32", world=world)
    strategy.prepare(lambda: Transformer(arch), optimizer, seed=_SEED)
    return strategy


def _sgd(named: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
    return torch.optim.SGD([parameter for _, parameter in named], lr=1.0, foreach=False)


def _adamw(named: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
    return torch.optim.AdamW([parameter for _, parameter in named], lr=1.0, weight_decay=0.1)


def _share(strategy: Strategy, step: int) -> list[MicroBatch]:
    """Micro-batches of this rank; the first sequences of a global batch have few valid targets, and the last many."""
    generator = torch.Generator().manual_seed(derive_seed("parity", step))
    # Small ids are frequent: there is something to learn.
    rows = (torch.rand((_SEQUENCES, _CONTEXT + 1), generator=generator) ** 3 * (_VOCAB - 5)).long()
    tokens, targets = rows[:, :-1].clone(), rows[:, 1:].clone()
    for sequence in range(_SEQUENCES):
        targets[sequence, (sequence + 1) * _CONTEXT // _SEQUENCES :] = IGNORE
    mine = slice(strategy.data_rank, None, strategy.data_world)
    pairs = zip(tokens[mine].chunk(_ACCUMULATION), targets[mine].chunk(_ACCUMULATION), strict=True)
    return [MicroBatch(*pair) for pair in pairs]


def _arrays(named: Iterator[tuple[str, torch.Tensor]], world: World) -> Arrays:
    """Copies on rank 0; the other ranks take part in putting the tensors together."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in named if world.rank == 0}


def compare(ranks: Sequence[Mapping[str, Measured]], one: Mapping[str, Measured]) -> list[ParityRow]:
    """A row for each case that the ranks of a world measured, against what one process did."""
    return [_compare(name, len(ranks), [rank[name] for rank in ranks], one["single"]) for name in ranks[0]]


def _compare(name: str, processes: int, ranks: Sequence[Measured], expected: Measured) -> ParityRow:
    first = ranks[0]
    losses = np.array([rank.losses for rank in ranks])
    norms = np.array([rank.grad_norm for rank in ranks])
    nothing = {name: np.zeros_like(gradient) for name, gradient in expected.gradients.items()}
    return ParityRow(
        name,
        processes,
        loss=_largest(losses / np.array(expected.losses) - 1),
        gradients=_difference(first.gradients, expected.gradients, nothing),
        grad_norm=_largest(norms / expected.grad_norm - 1),
        sgd=_difference(first.sgd, expected.sgd, expected.start),
        adamw=_difference(first.adamw, expected.adamw, expected.start),
        state_bytes=max(rank.state_bytes for rank in ranks),
        seconds=max(rank.seconds for rank in ranks),
    )


def _difference(found: Arrays, expected: Arrays, start: Arrays) -> float:
    """The largest difference of a tensor, relative to its distance from the start."""
    distances = {name: float(np.linalg.norm(wanted - start[name])) for name, wanted in expected.items()}
    floor = 1e-3 * math.hypot(*distances.values())
    differences = [
        np.linalg.norm(found[name] - wanted) / max(distances[name], floor) for name, wanted in expected.items()
    ]
    return _largest(np.array(differences))


def _largest(differences: NDArray[Any]) -> float:
    """The largest absolute value; NaN if there is one."""
    return float(np.abs(differences).max())
