"""Mirrors: the lines of metrics.jsonl, shown by TensorBoard or Weights & Biases as well.

A mirror can never stop a run. It works in a thread of its own behind a bounded queue: what it raises turns it off, with
a warning and an entry in the ledger, and where it is too slow it misses lines, which are counted. metrics.jsonl has
them all.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import MachineError
from llmforge.train.ledger import Ledger

_MOST_WAITING = 1000
_LAST_WORDS_S = 20.0


class Sink(Protocol):
    """Where figures go."""

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Take the figures of one step."""

    def close(self) -> None:
        """Take no more."""


class Mirror:
    """A sink at arm's length.

    Args:
        name: what it is called in warnings.
        open_sink: makes the sink, in the mirror's thread.
        ledger: where it is noted that the mirror failed.
    """

    def __init__(self, name: str, open_sink: Callable[[], Sink], ledger: Ledger) -> None:
        self._name, self._open, self._ledger = name, open_sink, ledger
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(_MOST_WAITING)
        self._missed, self._step = 0, 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Show a line of metrics.jsonl, some time."""
        self._step = line["step"]
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._missed += 1

    def close(self) -> None:
        """Wait a while for the last lines."""
        try:
            self._lines.put(None, timeout=_LAST_WORDS_S)
            self._thread.join(_LAST_WORDS_S)
        except queue.Full:
            self._missed += 1
        if self._thread.is_alive() or self._missed:
            self._tell(f"{self._name} was too slow: it misses lines; metrics.jsonl has them all")

    def _work(self) -> None:
        try:
            sink = self._open()
            while (line := self._lines.get()) is not None:
                sink.add(line["step"], dict(flatten(line)))
            sink.close()
        except BaseException as error:  # whatever a mirror does, even to exit, is no reason to stop a training
            self._tell(f"{self._name} is off: {type(error).__name__}: {error}")
            while self._lines.get() is not None:
                pass

    def _tell(self, what: str) -> None:
        log.warn(f"{what}; the training goes on")
        self._ledger.add("mirror", self._step, name=self._name, reason=what)


def flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of a nested object, each under its path: `val_by_source/novels/loss`."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value


class _TensorBoard:
    """Event files in train/tensorboard."""

    def __init__(self, settings: Settings, folder: Path, resumed_step: int, run_id: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Steps after the resumed one are taken again: what the file says of them is to be forgotten.
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=resumed_step + 1)

    def add(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _WandB:
    """A run of Weights & Biases; its project is the environment's WANDB_PROJECT, or llmforge."""

    def __init__(self, settings: Settings, folder: Path, resumed_step: int, run_id: str) -> None:
        import os

        import wandb

        quiet = wandb.Settings(silent=True, console="off")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "llmforge"),
            name=settings.run.name,
            id=run_id[:32],
            resume="allow",
            dir=folder,
            config=settings.model_dump(mode="json"),
            settings=quiet,
        )

    def add(self, step: int, figures: dict[str, float]) -> None:
        self._run.log(figures, step=step)

    def close(self) -> None:
        self._run.finish()


_SINKS: dict[str, Callable[[Settings, Path, int, str], Sink]] = {"tensorboard": _TensorBoard, "wandb": _WandB}


def open_mirrors(
    settings: Settings, folder: Path, ledger: Ledger, *, resumed_step: int, run_id: str
) -> tuple[Mirror, ...]:
    """The mirrors that `train.report_to` names.

    Args:
        settings: the run's settings.
        folder: the training's folder.
        ledger: where failures are noted.
        resumed_step: steps taken before this session (count).
        run_id: the same for every session of a training.

    Raises: MachineError if a package is missing, before the training begins.
    """
    for name in settings.train.report_to:
        if find_spec(name) is None:
            raise MachineError(
                f"train.report_to: the package {name} is not installed",
                f"pip install {name} (or llmforge[watch]), or leave {name} out",
            )

    def sink_of(name: str) -> Callable[[], Sink]:
        return lambda: _SINKS[name](settings, folder, resumed_step, run_id)

    return tuple(Mirror(name, sink_of(name), ledger) for name in settings.train.report_to)
