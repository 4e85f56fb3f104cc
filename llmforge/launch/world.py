"""How many processes a training takes on this machine, and whether this process is one of them. No torch."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from llmforge.config.train import TrainSection
from llmforge.core import log
from llmforge.core.errors import SettingsError
from llmforge.train.status import launched_rank

__all__ = ["choose_processes", "count_gpus", "launched_rank"]


def choose_processes(train: TrainSection) -> tuple[str, int]:
    """The strategy's name and the number of processes; what was left open is decided and told.

    Raises: SettingsError if strategy and number contradict each other.
    """
    num_gpus = count_gpus()
    if train.strategy == "single" and (train.nproc or 1) > 1:
        raise SettingsError(
            f"train.strategy is single, but train.nproc is {train.nproc}", "use ddp, or leave train.nproc out"
        )
    if train.strategy == "ddp" and (train.nproc or num_gpus) < 2:
        given = "train.nproc is 1" if train.nproc else f"this machine has {num_gpus or 'no'} GPU"
        raise SettingsError(f"train.strategy is ddp, but {given}", "use single, or --nproc 2 or more")
    if train.strategy == "single":
        return "single", 1
    num_processes = train.nproc or max(1, num_gpus)
    if train.nproc is None and num_processes > 1:
        log.decided("processes", num_processes, f"this machine has {num_gpus} GPUs and train.nproc is not set")
    if train.strategy == "auto" and num_processes > 1:
        log.decided("strategy", "ddp", f"there are {num_processes} processes, and the model is kept whole on each")
        return "ddp", num_processes
    return train.strategy, num_processes


def count_gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> int:
    """NVIDIA GPUs that this process may use (count), asked of the system without loading torch."""
    found = sum(1 for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name))
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    return min(found, len([name for name in visible.split(",") if name.strip() not in ("", "-1")]))
