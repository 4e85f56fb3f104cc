"""Running shards in spawned worker processes on this machine.

A worker that dies (killed, out of memory) breaks its pool: the shards that were lost are run once more, each
alone in a pool of its own, so that one bad shard is named and cannot take others with it.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from llmforge.core import log
from llmforge.core.errors import MachineError
from llmforge.core.hardware import num_cores
from llmforge.pipeline.stage import Shard

Work = Callable[[Shard], None]


def choose_workers(asked: int | None) -> int:
    """Worker processes at most (count): what was asked for, or one a core."""
    return asked or num_cores()


class WorkerPool:
    """Spawned worker processes that the steps of a stage share; each is started when it is first needed.

    Spawned, never forked: a fork copies locks of threads (tokenizers, torch) in whatever state they are.

    Args:
        workers: processes at most (count).
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, work: Work, shards: Sequence[Shard], lost: list[Shard]) -> Iterator[Shard]:
        """Run `work` on the shards and yield those that are done; those that a dead worker lost are put into `lost`."""
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=exit_with_parent)
        try:
            pending = {self._pool.submit(work, shard): shard for shard in shards}
        except BrokenProcessPool:  # broken while still submitting
            lost.extend(shards)
            self.stop()
            return
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                shard = pending.pop(future)
                try:
                    future.result()
                except BrokenProcessPool:
                    lost.append(shard)
                else:
                    yield shard
        if lost:
            self.stop()

    def stop(self) -> None:
        """End the processes; what has not begun is not done."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


def run_shards(work: Work, shards: Sequence[Shard], workers: int, pool: WorkerPool) -> Iterator[Shard]:
    """Run `work` on every shard, and yield each shard when it is done, in no particular order.

    Args:
        work: a picklable function; its results go to disk.
        shards: what to do; the largest is started first.
        workers: processes (count); with one, the work is done in this process.
        pool: where the others come from.

    Raises: whatever `work` raises; MachineError if a worker dies twice on the same shard.
    """
    largest_first = sorted(shards, key=lambda shard: (-shard.num_bytes, shard.index))
    if workers == 1:
        for shard in largest_first:
            work(shard)
            yield shard
        return
    lost: list[Shard] = []
    yield from pool.run(work, largest_first, lost)
    for shard in lost:
        log.warn(f"a worker process died on {shard.name}; trying it once more, alone")
        lost_again: list[Shard] = []
        with WorkerPool(1) as alone:
            yield from alone.run(work, [shard], lost_again)
        if lost_again:
            raise MachineError(
                f"{shard.name}: the worker process died twice on this shard (killed, or out of memory)",
                "use fewer workers (--workers 1), or give the machine more memory; finished shards are kept",
            )


def exit_with_parent() -> None:
    """End this worker process as soon as its parent is gone, so that a killed run leaves no process behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="exit-with-parent").start()
