"""Guards of a run: requests to stop, numbers that are not finite, and ranks whose launcher is gone."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core import log
from llmforge.core.errors import DivergedError, MachineError
from llmforge.parallel.process_group import World
from llmforge.parallel.strategy import StepResult
from llmforge.train.agreement import on_any_rank
from llmforge.train.data import TrainingData
from llmforge.train.ledger import Ledger
from llmforge.train.status import RUN_LOCK_HELD, Failure, Status, StatusFolder

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
_WATCH_EVERY_S = 0.5
_SHOWN_DOCUMENTS = 3


class StopRequest:
    """SIGTERM or SIGUSR1 to any rank, or a launcher's word: save after this step, and end.

    A second signal changes nothing: the save is under way.
    """

    def __init__(self, world: World, status: StatusFolder) -> None:
        self._world, self._status = world, status
        self._asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in _STOP_SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def agreed(self) -> bool:
        """Whether all ranks stop here; every rank asks at the same step and gets the same answer."""
        asked = self._asked or (self._world.rank == 0 and self._status.stop_asked())
        return on_any_rank(asked, self._world)


def check_step(result: StepResult, step: int, data: TrainingData, indices: NDArray[np.int64], ledger: Ledger) -> None:
    """Stop all ranks before a loss or gradient that is not finite reaches the weights.

    Args:
        result: the step's global loss and gradient norm.
        step: its number, counted from 1.
        data, indices: where its samples came from.
        ledger: told of all documents of the batch.

    Raises: DivergedError naming the step, the values and documents of the batch.
    """
    if result.finite:
        return
    named = name_documents(data, indices)
    ledger.add("diverged", step, loss=str(result.loss), grad_norm=str(result.grad_norm), documents=named)
    shown = "; ".join(named[:_SHOWN_DOCUMENTS])
    raise DivergedError(
        f"step {step}: loss {result.loss:g}, gradient norm {result.grad_norm:g}; the weights are as they were before. "
        f"The batch holds {len(named)} documents: {shown}{' ...' if len(named) > _SHOWN_DOCUMENTS else ''}",
        "lower train.optimizer.lr, or look at these documents (all of them stand in train/ledger.jsonl)",
    )


def name_documents(data: TrainingData, indices: NDArray[np.int64]) -> list[str]:
    """The documents of these samples, by id and URL (or source)."""
    return [f"{span.id} {span.url or span.source}" for span in data.documents(indices)]


class Watchdog:
    """Ends this rank when nothing has gone on for too long: it hangs, or waits for a rank that hangs or was stopped.

    The launcher then ends the others, stopped ones too. A collective cannot be called off from outside, so the
    process ends at once, after leaving word.

    Args:
        timeout_s: how long a step, a validation or a checkpoint may take (seconds).
        world: this process among the others.
        status: where the launcher looks for the reason.
    """

    def __init__(self, timeout_s: float, world: World, status: StatusFolder) -> None:
        self._timeout_s, self._world, self._status = timeout_s, world, status
        self._told = threading.Event()
        self._doing, self._over = "before the first step", False

    def __enter__(self) -> "Watchdog":
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._told.set()

    def alive(self, doing: str) -> None:
        """Say that all is well, and what comes now."""
        self._doing = doing
        self._told.set()

    def _watch(self) -> None:
        while self._told.wait(self._timeout_s):
            if self._over:
                return
            self._told.clear()
        error = MachineError(
            f"nothing has gone on for {self._timeout_s:g} s ({self._doing}): a rank hangs, or was stopped",
            "the same command goes on from the last checkpoint; if steps do take so long, set train.hang_timeout_s",
        )
        log.warn(f"rank {self._world.rank}: {error.what}")
        failure = Failure.of(self._world.rank, error)
        self._status.fail(failure)
        if self._world.rank == 0:
            self._status.write(Status(state="failed", message=error.what, hint=error.hint, exit_code=error.exit_code))
        os._exit(error.exit_code)


def end_with_launcher() -> None:
    """End this rank when its launcher is gone, so that a killed launcher leaves no rank that goes on writing."""
    launcher = os.environ.get(RUN_LOCK_HELD)
    if launcher is None:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and _alive(int(launcher)):
            time.sleep(_WATCH_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-launcher").start()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
