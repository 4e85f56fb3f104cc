"""Guards of a run: requests to stop, numbers that are not finite, and ranks whose launcher is gone."""

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmforge.core.errors import DivergedError
from llmforge.parallel.process_group import World
from llmforge.parallel.strategy import StepResult
from llmforge.train.agreement import on_any_rank
from llmforge.train.data import TrainingData
from llmforge.train.ledger import Ledger
from llmforge.train.status import RUN_LOCK_HELD, StatusFolder

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
    documents = data.documents(indices)
    named = [f"{span.id} {span.url or span.source}" for span in documents]
    ledger.add("diverged", step, loss=str(result.loss), grad_norm=str(result.grad_norm), documents=named)
    shown = "; ".join(named[:_SHOWN_DOCUMENTS])
    raise DivergedError(
        f"step {step}: loss {result.loss:g}, gradient norm {result.grad_norm:g}; the weights are as they were before. "
        f"The batch holds {len(named)} documents: {shown}{' ...' if len(named) > _SHOWN_DOCUMENTS else ''}",
        "lower train.optimizer.lr, or look at these documents (all of them stand in train/ledger.jsonl)",
    )


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
