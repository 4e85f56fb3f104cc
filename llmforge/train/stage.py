"""Training, on one page: is it done already, may it go on, who holds the run, take the steps, say how it ended.

    identity     which training this is: settings, seed and tokens, but not how long, where or how spread
    up to date   finished, with this identity and horizon: nothing is loaded
    session      join the other processes, go on from the newest whole checkpoint, take steps, measure (session.py)
    outcome      the manifest's state, status.json for a launcher, and the error that becomes an exit code

A resume with the same horizon is exact to the last bit on the same topology. Training longer is allowed: the run goes
on from its checkpoint, and from there the learning rate follows the schedule of the new horizon. That is not the run
that the longer horizon would have given from the start, so it is told and entered in the ledger.

Nothing here loads torch, so that "up to date" takes a moment.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError, LlmforgeError, MachineError, Preempted
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.manifest import Manifest
from llmforge.train.folder import TrainFolder
from llmforge.train.plan import plan_horizon, resolve_model
from llmforge.train.record import identity_differences, training_identity
from llmforge.train.status import Failure, State, Status, is_launched_by_us, launched_rank


@dataclass(frozen=True)
class TrainOutcome:
    """How a training came about, its folder, and its manifest (None on ranks that write nothing)."""

    status: Literal["built", "resumed", "up to date", "preempted"]
    folder: Path
    manifest: Manifest | None


def train(settings: Settings, *, force: bool = False, always: bool = False, strict: bool = False) -> TrainOutcome:
    """Bring the training to its horizon, in this process or as one of several that a launcher started.

    Alone, the caller holds the run's lock; among others, rank 0 takes it unless the launcher holds it.

    Args:
        settings: the run's settings.
        force: a training of another identity is set aside, and one without a whole checkpoint starts over.
        always: with `force`, begin anew even if this very training stands there.
        strict: warnings are errors.
    Returns: the outcome; "preempted" on launched ranks only, which end well so that no launcher restarts them.
    Raises: InputError, DivergedError, MachineError, SettingsError as they say; Preempted after a requested stop.
    """
    rank = launched_rank()
    folder = TrainFolder(settings.run_folder)
    with _run_lock_of(settings, rank):
        finished = find_finished(settings, folder, force=force, always=always)
        if finished is not None:
            return TrainOutcome("up to date", folder.path, finished)
        if rank:
            logging.getLogger("llmforge").setLevel(logging.ERROR)  # rank 0 speaks for all
        try:
            with _reported(folder, rank):
                from llmforge.train.session import run_session

                return run_session(settings, folder, force=force, always=always, strict=strict)
        except Preempted:
            if rank is None:
                raise
            return TrainOutcome("preempted", folder.path, None)


def find_finished(settings: Settings, folder: TrainFolder, *, force: bool, always: bool) -> Manifest | None:
    """The manifest of the training if it is finished as asked for; None if there is something to do.

    Raises: InputError if tokens are missing, if another training stands there, or this one is damaged, and `force`
        is off.
    """
    identity = training_identity(settings)
    if not launched_rank():
        folder.recover()
    begun = folder.manifest()
    if begun is None or (force and always):
        return None
    if begun.identity != identity:
        if force:
            return None
        shown = "".join(f"\n  {line}" for line in identity_differences(begun.identity, identity)[:10])
        raise InputError(
            f"{folder.path}: a training with other settings or inputs stands here:{shown}",
            "--force sets it aside and begins anew, or give this run another name: --set run.name=...",
        )
    horizon = plan_horizon(settings, resolve_model(settings))
    if begun.state != "finished" or begun.execution["num_steps"] != horizon.num_steps:
        return None
    if (damage := begun.find_damage(folder.path)) and not force:
        raise InputError(damage, "put the file back, or begin anew: llmforge train --force")
    return None if damage else begun


@contextmanager
def _run_lock_of(settings: Settings, rank: int | None) -> Iterator[None]:
    """Rank 0 of a launcher that is not ours holds the run; otherwise somebody else does."""
    with run_lock(settings.run_folder) if rank == 0 and not is_launched_by_us() else nullcontext():
        yield


@contextmanager
def _reported(folder: TrainFolder, rank: int | None) -> Iterator[None]:
    """Leave the state behind for launchers, whatever happens; rank 0 speaks for all, failing ranks for themselves."""
    writes = not rank
    try:
        yield
    except BaseException as error:
        failure = Failure.of(rank or 0, error)
        if rank is not None and not isinstance(error, Preempted):
            folder.status.fail(failure)
        if writes:
            told = {"message": failure.message, "hint": failure.hint, "exit_code": failure.exit_code}
            folder.status.write(Status(state=_state_of(error), **told))
        if rank is not None and failure.consequence and not isinstance(error, LlmforgeError):
            hint = "look for the first error of another rank"
            raise MachineError(f"rank {rank} lost the others: {failure.message}", hint) from error
        raise
    if writes:
        folder.status.write(Status(state="finished"))


def _state_of(error: BaseException) -> State:
    exit_code = error.exit_code if isinstance(error, LlmforgeError) else 1
    states: dict[int, State] = {75: "preempted", 5: "diverged"}
    return states.get(exit_code, "failed")
