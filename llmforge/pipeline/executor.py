"""Running shards in spawned worker processes on this machine.

A worker that dies (killed, out of memory) breaks its pool: the shards that were lost are run once more, each
alone in a pool of its own, so that one bad shard is named and cannot take others with it.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from llmforge.core import log
from llmforge.core.errors import MachineError
from llmforge.core.hardware import num_cores
from llmforge.pipeline.stage import Shard

Work = Callable[[Shard], None]


def choose_workers(asked: int | None, num_shards: int) -> int:
    """Worker processes for a step (count): what was asked for, or one a core, and no more than there are shards."""
    return max(1, min(asked or num_cores(), num_shards))


def run_shards(work: Work, shards: Sequence[Shard], workers: int) -> Iterator[Shard]:
    """Run `work` on every shard, and yield each shard when it is done, in no particular order.

    Args:
        work: a picklable function; its results go to disk.
        shards: what to do; the largest is started first.
        workers: processes (count); with one, the work is done in this process.

    Raises: whatever `work` raises; MachineError if a worker dies twice on the same shard.
    """
    largest_first = sorted(shards, key=lambda shard: (-shard.num_bytes, shard.index))
    if workers == 1:
        for shard in largest_first:
            work(shard)
            yield shard
        return
    lost: list[Shard] = []
    yield from _run_in_pool(work, largest_first, workers, lost)
    for shard in lost:
        log.warn(f"a worker process died on {shard.name}; trying it once more, alone")
        lost_again: list[Shard] = []
        yield from _run_in_pool(work, [shard], 1, lost_again)
        if lost_again:
            raise MachineError(
                f"{shard.name}: the worker process died twice on this shard (killed, or out of memory)",
                "use fewer workers (--workers 1), or give the machine more memory; finished shards are kept",
            )


def _run_in_pool(work: Work, shards: Sequence[Shard], workers: int, lost: list[Shard]) -> Iterator[Shard]:
    # Spawned, never forked: a fork copies locks of threads (tokenizers, torch) in whatever state they are.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=exit_with_parent)
    pending: dict[Future[None], Shard] = {}
    try:
        pending = {pool.submit(work, shard): shard for shard in shards}
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
    except BrokenProcessPool:  # broken while still submitting
        lost.extend(shard for shard in shards if shard not in lost)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def exit_with_parent() -> None:
    """End this worker process as soon as its parent is gone, so that a killed run leaves no process behind."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="exit-with-parent").start()
