"""What a launcher may know of a training run: its outcome in a file, and a file that asks it to stop. No torch here.

Launchers turn every exit code into 1, so the outcome of a run of several processes is read from disk:

    train/status.json              the state, written by rank 0
    train/failures/rank-00003.json the error of a rank, in its own words
    train/stop                     somebody asks the run to save and end
"""

import os
import time
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from llmforge.core.errors import LlmforgeError
from llmforge.core.files import read_json, write_bytes, write_json

State = Literal["running", "preempted", "finished", "diverged", "failed"]

RUN_LOCK_HELD = "LLMFORGE_RUN_LOCK_HELD"
"""The process id of the launcher that holds the run's lock; its ranks do not take the lock, and end when it is gone."""


class Status(BaseModel):
    """The state of a run, with the code that `llmforge train` ends with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    message: str = ""
    hint: str | None = None
    exit_code: int = 0


class Failure(BaseModel):
    """Why a rank ended.

    `consequence` marks an error that comes of another rank's end (a broken connection), not of a cause of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int
    time_ns: int
    message: str
    hint: str | None
    exit_code: int
    consequence: bool

    @classmethod
    def of(cls, rank: int, error: BaseException) -> "Failure":
        """The failure that an error of this rank makes."""
        what, hint, exit_code = f"{type(error).__name__}: {error}", None, 1
        if isinstance(error, LlmforgeError):
            what, hint, exit_code = error.what, error.hint, error.exit_code
        return cls(
            rank=rank,
            time_ns=time.time_ns(),
            message=what,
            hint=hint,
            exit_code=exit_code,
            consequence=_follows_from_another(error),
        )


def _follows_from_another(error: BaseException) -> bool:
    """Whether an error is what a rank sees when another one has ended, and not a cause of its own."""
    text = f"{type(error).__module__} {type(error).__name__} {error}"
    return any(word in text for word in ("gloo", "NCCL", "onnection", "DistBackendError", "DistNetworkError"))


def launched_rank() -> int | None:
    """The rank of this process if a launcher (torchrun, deepspeed, srun) started it among others; None if not."""
    rank = os.environ.get("RANK")
    return int(rank) if rank is not None and rank.isdecimal() and "WORLD_SIZE" in os.environ else None


def is_launched_by_us() -> bool:
    """Whether llmforge's own launcher started this process as a rank."""
    return RUN_LOCK_HELD in os.environ


class StatusFolder:
    """The files through which a run and its launcher understand each other."""

    def __init__(self, folder: Path) -> None:
        self._status = folder / "status.json"
        self._failures = folder / "failures"
        self._stop = folder / "stop"

    def clear(self) -> None:
        """Forget what an earlier session left."""
        self.take_back_stop()
        for path in (self._status, *self._failures.glob("*.json")):
            path.unlink(missing_ok=True)

    def write(self, status: Status) -> None:
        """Set the state, whole or not at all."""
        write_json(self._status, status.model_dump(mode="json"))

    def read(self) -> Status | None:
        """The state, if a run was ever started here."""
        return Status.model_validate(read_json(self._status)) if self._status.exists() else None

    def ask_to_stop(self) -> None:
        """Ask the run to save and end after its current step."""
        write_bytes(self._stop, b"")

    def take_back_stop(self) -> None:
        """Forget that somebody asked."""
        self._stop.unlink(missing_ok=True)

    def stop_asked(self) -> bool:
        """Whether somebody asked."""
        return self._stop.exists()

    def fail(self, failure: Failure) -> None:
        """Leave a rank's error for the launcher."""
        write_json(self._failures / f"rank-{failure.rank:05d}.json", failure.model_dump(mode="json"))

    def first_failure(self) -> Failure | None:
        """The error that the others followed from: causes before consequences, then the earliest."""
        failures = [Failure.model_validate(read_json(path)) for path in self._failures.glob("*.json")]
        return min(failures, key=lambda failure: (failure.consequence, failure.time_ns), default=None)
