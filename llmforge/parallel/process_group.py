"""Joining and leaving the world of processes that a launcher started."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from llmforge.core import log
from llmforge.core.errors import MachineError, SettingsError
from llmforge.core.probe import has_nvidia_driver

TIMEOUT_S = 120.0
"""Ranks that have not met by then will not: an address is wrong, or a rank is gone."""

WAIT_S = 1800.0
"""A collective that waits longer than this fails; all ranks wait while rank 0 writes and proves a checkpoint."""

_LAUNCH_HINT = "start through `llmforge train --nproc N`, torchrun or deepspeed, which set RANK and its companions"


@dataclass(frozen=True)
class World:
    """One process among the others.

    Attributes:
        rank, size: global rank and number of processes.
        local_rank: rank on this machine, which picks the device.
        device: where this rank computes.
    """

    rank: int
    size: int
    local_rank: int
    device: torch.device

    @property
    def backend(self) -> str:
        """The collective library: nccl between GPUs, gloo between CPUs."""
        return "nccl" if self.device.type == "cuda" else "gloo"


def launched_size(environment: Mapping[str, str] = os.environ) -> int:
    """Processes that the launcher started; 1 without a launcher.

    Raises: SettingsError if the launcher's variables are incomplete or no numbers.
    """
    return _coordinates(environment)[1]


def _coordinates(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """(rank, size, local rank) from the launcher's variables."""
    if "WORLD_SIZE" not in environment:
        return 0, 1, 0
    values = []
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        text = environment.get(name)
        if text is None or not text.isdecimal():
            raise SettingsError(f"{name} is {text!r} in the environment; expected a whole number", _LAUNCH_HINT)
        values.append(int(text))
    rank, size, local_rank = values
    if rank >= size:
        raise SettingsError(f"RANK is {rank} and WORLD_SIZE is {size}; ranks count from 0", _LAUNCH_HINT)
    return rank, size, local_rank


def join_world(
    environment: Mapping[str, str] = os.environ, *, timeout_s: float = TIMEOUT_S, wait_s: float = WAIT_S
) -> World:
    """Join the processes that the launcher started; alone, no process group is made.

    Args:
        environment: where the launcher's variables are.
        timeout_s: to find each other (seconds).
        wait_s: that a collective may wait (seconds).

    Raises: SettingsError if the launcher's variables do not make sense; MachineError if the others cannot be reached.
    """
    rank, size, local_rank = _coordinates(environment)
    world = World(rank, size, local_rank, _device(local_rank))
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
        compute_repeatably()
    elif rank == 0 and has_nvidia_driver() and "CUDA_VISIBLE_DEVICES" not in environment:
        log.warn(f"this machine has an NVIDIA GPU, and torch {torch.__version__} cannot use it: computing on the CPU")
    if size > 1:
        _connect(world, timeout_s, wait_s)
    return world


def compute_repeatably() -> None:
    """Let a GPU add up in a fixed order, so that a resumed training ends in the same bits.

    Without it, attention's backward pass adds in whatever order its blocks finish. Warning only is not enough: the
    attention kernels then stay as they are.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        raise SettingsError(
            f"LOCAL_RANK is {local_rank}, but this machine has {torch.cuda.device_count()} GPUs",
            "start at most one process a GPU, or set CUDA_VISIBLE_DEVICES to nothing, to compute on processors",
        )
    return torch.device("cuda", local_rank)


def _connect(world: World, timeout_s: float, wait_s: float) -> None:
    """Make the process group and prove with a first sum that every rank answers."""
    if world.rank == 0:
        log.decided("collectives", world.backend, f"{world.size} processes compute on {world.device.type}")
    try:
        if not dist.is_initialized():
            _make_process_group(world, timeout_s, wait_s)
        answer = torch.ones(1, device=world.device)
        dist.all_reduce(answer)
    except (RuntimeError, ValueError) as error:
        raise MachineError(
            f"rank {world.rank} of {world.size} could not reach the others within {timeout_s:.0f} s: {error}",
            "check that MASTER_ADDR and MASTER_PORT name the first machine, and look for the first error of any rank",
        ) from error
    if int(answer) != world.size:
        raise MachineError(f"rank {world.rank}: {int(answer)} ranks answered the first sum, expected {world.size}")


def _make_process_group(world: World, timeout_s: float, wait_s: float) -> None:
    """Meet within one time; later collectives have another, which is why the store is made first."""
    store, _, _ = next(rendezvous("env://", world.rank, world.size, timeout=timedelta(seconds=timeout_s)))
    dist.init_process_group(
        world.backend,
        store=PrefixStore("llmforge", store),
        rank=world.rank,
        world_size=world.size,
        timeout=timedelta(seconds=wait_s),
        # GPUs are named, or barriers and subgroups would guess them.
        device_id=world.device if world.device.type == "cuda" else None,
    )


def leave_world(world: World) -> None:
    """Wait for the other ranks and leave; without the wait, a rank that is still sending may abort."""
    if world.size > 1 and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
