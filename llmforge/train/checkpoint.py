"""Checkpoints: written beside, committed by a rename, proven before an older one goes, and never overwritten.

Training waits while the tensors are written, and no longer: a thread makes the files durable, hashes, commits and
proves them beside the steps that follow. Until it has, the checkpoint does not exist.

checkpoints/step-00001000.partial/   being written
checkpoints/step-00001000/           whole: manifest.json was written last
checkpoints/step-00001000.damaged/   found damaged on resume; goes when a newer one is proven
checkpoints/latest                   the newest name: a hint for people, never read
"""

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import safe_open

from llmforge.arch.architecture import Architecture
from llmforge.config.train import CheckpointSection
from llmforge.core import log
from llmforge.core.errors import DivergedError, InputError, MachineError
from llmforge.core.files import free_bytes, read_json, rename_durably, sync_file, sync_folder, write_bytes, write_json
from llmforge.core.hashing import hash_file
from llmforge.model.saved import MANIFEST, SCHEMA, STATE, WEIGHTS, checkpoints, verify_checkpoint
from llmforge.parallel.process_group import World
from llmforge.parallel.strategy import Strategy
from llmforge.train.agreement import from_first_rank
from llmforge.train.data import NOTHING_DRAWN
from llmforge.train.ledger import Ledger
from llmforge.train.loss_scale import LossScale
from llmforge.train.spikes import Recent, to_recent


@dataclass(frozen=True)
class Position:
    """Where a run is: everything of its state that is not weights or optimizer.

    The loader's state is the number of samples drawn; learning rate, dropout and epoch are functions of the step.

    Attributes:
        step: optimizer steps taken (count).
        samples: samples drawn (count).
        tokens: tokens trained on (count).
        data_hash: running hash of the samples drawn.
        recent: losses and norms that spikes are told by.
        loss_scale: under fp16; None otherwise.
    """

    step: int = 0
    samples: int = 0
    tokens: int = 0
    data_hash: str = NOTHING_DRAWN
    recent: Recent = ()
    loss_scale: LossScale | None = None


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: train/checkpoints.
        arch: the model, written into every state.
        facts: what else a state records (fingerprint, versions, strategy, world size).
        section: which checkpoints to keep.
        world: this process among the others.
    """

    def __init__(
        self, folder: Path, arch: Architecture, facts: dict[str, Any], section: CheckpointSection, world: World
    ) -> None:
        self._folder, self._arch, self._facts, self._section = folder, arch, facts, section
        self._world = world
        self._cost_told = False
        self._publisher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._publishing: Future[Position] | None = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._publisher.shutdown()  # what is begun comes to its end, whatever has ended the training
        if self._publishing is not None and (error := self._publishing.exception()) is not None:
            log.warn(f"the checkpoint that was being published is lost: {error}")

    @property
    def _writes(self) -> bool:
        return self._world.rank == 0

    def save(self, position: Position, strategy: Strategy) -> None:
        """Write a checkpoint, and have it published beside what follows; all ranks call it, after `settle`.

        Raises: MachineError if the disk is full. Earlier checkpoints stay.
        """
        assert self._publishing is None, "settle() comes before save()"
        final = self._folder / f"step-{position.step:08d}"
        partial = final.with_name(f"{final.name}.partial")
        start_s = time.monotonic()
        if self._writes:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        from_first_rank(0, self._world)  # nobody writes before the folder is there
        strategy.save(partial)
        if self._writes:
            waited_s = time.monotonic() - start_s
            self._publishing = self._publisher.submit(self._publish, partial, final, position, waited_s)

    def settle(self, *, wait: bool) -> Position | None:
        """What has been published since the last call, on the rank that writes; older ones went after it was proven.

        Args:
            wait: for the one that is being published, if there is one.

        Raises: DivergedError if a weight was not finite; MachineError if the disk failed. Earlier checkpoints stay.
        """
        publishing = self._publishing
        if publishing is None or not (wait or publishing.done()):
            return None
        self._publishing = None
        return publishing.result()

    def _publish(self, partial: Path, final: Path, position: Position, waited_s: float) -> Position:
        start_s = time.monotonic()
        self._commit(partial, final, position)
        self._purge(final)
        self._tell_cost(final, waited_s, time.monotonic() - start_s)
        return position

    def _tell_cost(self, folder: Path, waited_s: float, published_s: float) -> None:
        """Say, once a session, what a checkpoint costs."""
        if not self._cost_told:
            size = sum(path.stat().st_size for path in folder.iterdir())
            log.say(
                f"train: a checkpoint takes {size / 1e6:,.1f} MB and holds training up for {waited_s:.2f} s; "
                f"it is hashed and proven by reading it back in {published_s:.2f} s beside it"
            )
        self._cost_told = True

    def _commit(self, partial: Path, final: Path, position: Position) -> None:
        check_finite(partial / WEIGHTS)
        for path in partial.iterdir():
            sync_file(path)
        write_json(partial / STATE, {**asdict(position), "architecture": asdict(self._arch), **self._facts})
        files = {path.name: _describe(path) for path in sorted(partial.iterdir())}
        write_json(partial / MANIFEST, {"schema": SCHEMA, "step": position.step, "files": files})
        sync_folder(partial)
        rename_durably(partial, final)
        write_bytes(self._folder / "latest", f"{final.name}\n".encode())

    def _purge(self, newest: Path) -> None:
        """Remove what `newest` makes superfluous, after reading it back."""
        verify_checkpoint(newest)
        for folder in list(checkpoints(self._folder.parent))[self._section.keep_last :]:
            every = self._section.keep_every_steps
            if every is None or _step_of(folder) % every:
                shutil.rmtree(folder)
        for folder in self._folder.glob("step-*.damaged"):
            shutil.rmtree(folder)

    def find(self, ledger: Ledger, *, start_over: bool = False) -> Path | None:
        """The checkpoint to go on from: the newest whole one, chosen by rank 0; None if there never was one.

        Nothing is being published at that time: `settle` comes before it.

        A damaged one that is newer is told loudly, entered in the ledger and set aside.

        Raises: InputError if there are checkpoints and none is whole, unless the user said `start_over`: a run never
            starts over in silence.
        """
        step = self._find_whole(ledger, start_over) if self._writes else 0
        step = from_first_rank(step, self._world)
        return None if step < 0 else self._folder / f"step-{step:08d}"

    def _find_whole(self, ledger: Ledger, start_over: bool) -> int:
        """The step of the newest whole checkpoint; -1 if there never was one, or all are given up."""
        for leftover in self._folder.glob("step-*.partial"):
            shutil.rmtree(leftover)
        damaged: list[tuple[Path, InputError]] = []
        good = None
        for folder in checkpoints(self._folder.parent):
            try:
                verify_checkpoint(folder)
            except InputError as error:
                log.warn(f"checkpoint {folder.name} is damaged: {error.what}")
                damaged.append((folder, error))
            else:
                good = folder
                break
        if good is None and not start_over and (damaged or any(self._folder.glob("step-*.damaged"))):
            raise InputError(
                f"{self._folder}: there are checkpoints, and none of them is whole",
                "put back a copy of one, or start over with --force",
            )
        step = _step_of(good) if good is not None else -1
        _set_aside(damaged, max(step, 0), ledger)
        return step


def _set_aside(damaged: Sequence[tuple[Path, InputError]], step: int, ledger: Ledger) -> None:
    """Rename damaged checkpoints, so that the steps to come find their names free."""
    for folder, error in damaged:
        log.warn(f"going on from step {step:,} instead of {folder.name}; the steps between are taken again")
        ledger.add("fall-back", step, damaged_step=_step_of(folder), reason=error.what)
        aside = folder.with_name(f"{folder.name}.damaged")
        shutil.rmtree(aside, ignore_errors=True)
        rename_durably(folder, aside)


def read_position(checkpoint: Path, fingerprint: str) -> Position:
    """Where a checkpoint left off.

    Raises: InputError if it belongs to another training.
    """
    state = read_json(checkpoint / STATE)
    if state.get("fingerprint") != fingerprint:
        raise InputError(
            f"{checkpoint}: belongs to a training with other settings or inputs",
            "remove it from this run, or start anew with --force",
        )
    values = {name: state[name] for name in ("step", "samples", "tokens", "data_hash")}
    # Checkpoints from before spikes were watched hold no recent steps; those from before fp16, no scale.
    scale = state.get("loss_scale")
    return Position(**values, recent=to_recent(state.get("recent", ())), loss_scale=scale and LossScale(**scale))


def check_disk(folder: Path, num_bytes: int) -> None:
    """Make sure that two checkpoints fit: the one being written, and the one that it replaces.

    Args:
        folder: where checkpoints go.
        num_bytes: size of one checkpoint, estimated (bytes).

    Raises: MachineError with the figures.
    """
    free = free_bytes(folder)
    if free < 2 * num_bytes:
        raise MachineError(
            f"{folder}: {free / 1e6:,.1f} MB are free, and two checkpoints need about {2 * num_bytes / 1e6:,.1f} MB",
            "free space, or set run.dir to another disk",
        )


def check_finite(path: Path) -> None:
    """Refuse to keep weights that are not numbers.

    Raises: DivergedError naming the first such tensor.
    """
    with safe_open(path, framework="pt") as file:
        for name in file.keys():
            if not torch.isfinite(file.get_tensor(name)).all():
                raise DivergedError(
                    f"{name} holds values that are not finite; this state is not saved",
                    "the checkpoint before it is whole; lower train.optimizer.lr",
                )


def _describe(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": hash_file(path)}


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))
