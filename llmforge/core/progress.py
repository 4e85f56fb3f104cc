"""The one progress interface: a bar on a terminal, a plain line every 30 seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol

from llmforge.core import log

_LINE_EVERY_S = 30.0


class Progress(Protocol):
    """How far a piece of work is."""

    def update(self, done: float, note: str = "") -> None:
        """Set the work done so far, in the unit that was named at the start, with a short note on rates."""


class _Bar:
    def __init__(self, title: str, total: float | None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        columns: list[Any] = [
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        ]
        self._rich = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._rich.add_task(title, total=total, note="")

    def __enter__(self) -> "_Bar":
        self._rich.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._rich.stop()

    def update(self, done: float, note: str = "") -> None:
        self._rich.update(self._task, completed=done, note=note)


class _Lines:
    """Plain lines, for logs: never animated."""

    def __init__(self, title: str, total: float | None, clock: Callable[[], float]) -> None:
        self._title, self._total, self._clock = title, total, clock
        self._start_s = self._last_s = clock()

    def __enter__(self) -> "_Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, done: float, note: str = "") -> None:
        now_s = self._clock()
        if now_s - self._last_s < _LINE_EVERY_S:
            return
        self._last_s = now_s
        log.say(f"{self._title}  {self._share(done)}  {note}{self._time_left(done, now_s - self._start_s)}")

    def _share(self, done: float) -> str:
        return f"{done:,.0f}" if self._total is None else f"{done:,.0f} of {self._total:,.0f}"

    def _time_left(self, done: float, elapsed_s: float) -> str:
        if not self._total or done <= 0:
            return ""
        return f"  {elapsed_s * (self._total - done) / done:,.0f} s left"


@contextmanager
def progress(title: str, total: float | None, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Show how far a piece of work is, on stderr; silent with --quiet.

    Args:
        title: what is going on, in a word or two.
        total: the whole of the work, in any unit; None where it is not known.
        clock: monotonic seconds; tests give their own.
    """
    import logging

    shown = logging.getLogger("llmforge").isEnabledFor(logging.INFO)
    bar: _Bar | _Lines = _Bar(title, total) if shown and sys.stderr.isatty() else _Lines(title, total, clock)
    with bar:
        yield bar
