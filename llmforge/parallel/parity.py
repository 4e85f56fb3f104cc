"""The proof that strategies agree: the same model, the same batches, one process and many, compared number by number.

A model of the given family, small, starts from the same bits everywhere. Batches have uneven numbers of valid tokens
and are split into micro-batches; clipping is active in the training runs. Each world is started once.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
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

STRATEGIES: dict[int, tuple[str, ...]] = {
    2: ("ddp", "fsdp", "model", "pipeline", "tensor", "zero1", "zero2", "zero3"),
    4: ("fsdp", "pipeline", "tensor", "2d"),
    8: ("2d", "3d"),
}
"""What is compared on each number of processes."""

TOLERANCES = {"loss": 1e-5, "gradients": 1e-5, "grad_norm": 1e-5, "sgd": 1e-5}
"""Largest deviations; AdamW's weights have none, as it divides small gradients by small gradients."""

NUM_STEPS = 20
_SEQUENCES, _ACCUMULATION, _CONTEXT, _VOCAB, _SEED = 16, 4, 32, 128, 7
_MAX_GRAD_NORM = 0.5

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Measured:
    """What one strategy computed on one rank; arrays are those of rank 0, empty on the others."""

    gradients: Arrays
    grad_norm: float
    losses: list[float]
    sgd: Arrays
    adamw: Arrays
    state_bytes: int | None
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
        sgd, adamw: largest difference of a weight after all steps.
        state_bytes: weights, gradients and optimizer states of the fullest rank (bytes); None where not counted.
        seconds: that all of it took.
    """

    strategy: str
    processes: int
    loss: float
    gradients: float
    grad_norm: float
    sgd: float
    adamw: float
    state_bytes: int | None
    seconds: float

    @property
    def misses(self) -> list[str]:
        """The quantities that are further off than allowed; NaN is."""
        return [name for name, allowed in TOLERANCES.items() if not getattr(self, name) <= allowed]


def run_parity(arch: Architecture, worlds: Sequence[int], *, timeout_s: float = 1200.0) -> list[ParityRow]:
    """Compare strategies with one process.

    Args:
        arch: the model, of which `shrink` makes a small one.
        worlds: numbers of processes, keys of `STRATEGIES`.
        timeout_s: for each world.

    Returns: a row a strategy, after the row of one process itself.
    Raises: MachineError if a process fails or the time is over.
    """
    small = shrink(arch)
    expected = run_in_processes(measure_all, 1, ["single"], small, timeout_s=timeout_s)[0]["single"]
    rows = [_compare("single", 1, [expected], expected)]
    for size in worlds:
        names = [name for name in STRATEGIES[size] if not name.startswith("zero") or find_spec("deepspeed")]
        ranks = run_in_processes(measure_all, size, names, small, timeout_s=timeout_s)
        rows += [_compare(name, size, [rank[name] for rank in ranks], expected) for name in names]
    return rows


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


def measure_all(world: World, names: Sequence[str], arch: Architecture) -> dict[str, Measured]:
    """All strategies of one world, one after the other."""
    return {name: measure(world, name, arch) for name in names}


def measure(world: World, name: str, arch: Architecture) -> Measured:
    """Raw gradients of a first step, and two short trainings."""
    start_s = time.perf_counter()
    strategy = _prepared(world, name, arch, _sgd, max_grad_norm=1e9)
    result = strategy.forward_backward(_share(strategy, 0), seed=0)
    keep = world.rank == 0
    gradients = _arrays(strategy.gradients(), keep)
    strategy.discard()
    sgd_losses, _, sgd = _train(_prepared(world, name, arch, _sgd), 0.3, keep)
    adamw_losses, state_bytes, adamw = _train(_prepared(world, name, arch, _adamw), 3e-3, keep)
    seconds = time.perf_counter() - start_s
    return Measured(gradients, result.grad_norm, sgd_losses + adamw_losses, sgd, adamw, state_bytes, seconds)


def _train(strategy: Strategy, lr: float, keep: bool) -> tuple[list[float], int | None, Arrays]:
    """Losses, bytes of the model state, and the weights at the end."""
    losses, state_bytes = [], None
    for step in range(NUM_STEPS):
        losses.append(strategy.forward_backward(_share(strategy, step), seed=step).loss)
        count = getattr(strategy, "state_bytes", None)
        if step == NUM_STEPS - 1 and count is not None:
            state_bytes = sum(count().values())
        strategy.apply(lr)
    return losses, state_bytes, _arrays(strategy.full_state(), keep)


def _prepared(
    world: World, name: str, arch: Architecture, optimizer: BuildOptimizer, max_grad_norm: float = _MAX_GRAD_NORM
) -> Strategy:
    train = TrainSection(strategy=name, max_grad_norm=max_grad_norm)  # type: ignore[arg-type]
    strategy = create_strategy(train, precision="fp32", world=world)
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


def _arrays(named: Iterator[tuple[str, torch.Tensor]], keep: bool) -> Arrays:
    """Copies on rank 0; the other ranks take part in putting the tensors together."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in named if keep}


def _compare(name: str, processes: int, ranks: Sequence[Measured], expected: Measured) -> ParityRow:
    first = ranks[0]
    counted = [rank.state_bytes for rank in ranks if rank.state_bytes is not None]
    losses = np.array([rank.losses for rank in ranks])
    norms = np.array([rank.grad_norm for rank in ranks])
    return ParityRow(
        name,
        processes,
        loss=_largest(losses / np.array(expected.losses) - 1),
        gradients=_gradient_difference(first.gradients, expected),
        grad_norm=_largest(norms / expected.grad_norm - 1),
        sgd=_weight_difference(first.sgd, expected.sgd),
        adamw=_weight_difference(first.adamw, expected.adamw),
        state_bytes=max(counted, default=None),
        seconds=max(rank.seconds for rank in ranks),
    )


def _gradient_difference(found: Arrays, expected: Measured) -> float:
    floor = 1e-3 * expected.grad_norm
    differences = [
        np.linalg.norm(found[name] - wanted) / max(float(np.linalg.norm(wanted)), floor)
        for name, wanted in expected.gradients.items()
    ]
    return _largest(np.array(differences))


def _weight_difference(found: Arrays, expected: Arrays) -> float:
    return _largest(np.array([_largest(found[name] - wanted) for name, wanted in expected.items()]))


def _largest(differences: NDArray[Any]) -> float:
    """The largest absolute value; NaN if there is one."""
    return float(np.abs(differences).max())
