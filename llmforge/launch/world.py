"""How many processes a training takes on this machine, and whether this process is one of them. No torch."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import SettingsError
from llmforge.parallel.zero_config import STAGES, require_deepspeed
from llmforge.train.placement import choose_layout
from llmforge.train.plan import resolve_model
from llmforge.train.status import launched_rank

__all__ = ["choose_processes", "count_gpus", "launched_rank"]


def choose_processes(settings: Settings) -> tuple[str, int]:
    """The strategy's name and the number of processes; what was left open is decided and told.

    Raises: before any is started, SettingsError if strategy, degrees, batch and number of processes do not fit, and
        MachineError if the strategy's library is missing.
    """
    train, num_gpus = settings.train, count_gpus()
    if train.nodes > 1:
        raise SettingsError(
            f"train.nodes is {train.nodes}, and this command starts processes on one machine only",
            f"on each machine: torchrun --nnodes {train.nodes} --nproc-per-node {train.nproc or max(1, num_gpus)} "
            "--rdzv-backend c10d --rdzv-endpoint FIRST_MACHINE:29500 -m llmforge train -c FILE",
        )
    num_processes = train.nproc or (1 if train.strategy == "single" else max(1, num_gpus))
    if train.nproc is None and num_processes > 1:
        log.decided("processes", num_processes, f"this machine has {num_gpus} GPUs and train.nproc is not set")
    strategy, _, reason = choose_layout(settings, resolve_model(settings), num_processes)
    if strategy in STAGES:
        require_deepspeed()
    if train.strategy == "auto" and num_processes > 1:
        log.decided("strategy", strategy, reason)
    return strategy, num_processes


def count_gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> int:
    """NVIDIA GPUs that this process may use (count), asked of the system without loading torch."""
    found = sum(1 for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name))
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    return min(found, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))
