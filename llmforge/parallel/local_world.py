"""Several processes of a world on this machine's CPU, for parity runs and tests: gloo, a free port, a hard time-out."""

import multiprocessing
import os
import socket
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

import torch

from llmforge.core.errors import LlmforgeError, MachineError
from llmforge.parallel.process_group import World, join_world, leave_world


def run_in_processes(function: Callable[..., Any], world_size: int, *args: Any, timeout_s: float = 120.0) -> list[Any]:
    """Call `function(world, *args)` in new processes that have joined one world.

    Args:
        function: a module's function; every rank calls it.
        world_size: processes (count).
        args: plain values, as are the results.
        timeout_s: after that, all processes are killed.

    Returns: the results by rank.
    Raises: MachineError with the first failed rank's traceback, or if the time is over; all processes are then gone.
    """
    context = multiprocessing.get_context("spawn")
    port = _free_port()
    pipes = [context.Pipe(duplex=False) for _ in range(world_size)]
    processes: list[BaseProcess] = [
        context.Process(target=_run_rank, args=(pipe, function, rank, world_size, port, timeout_s, args), daemon=True)
        for rank, (_, pipe) in enumerate(pipes)
    ]
    for process, (_, sender) in zip(processes, pipes, strict=True):
        process.start()
        sender.close()  # the child's end: when the child dies, reading ends instead of waiting
    try:
        results = _collect([receiver for receiver, _ in pipes], time.monotonic() + timeout_s)
        for process in processes:
            process.join(timeout=10)
        return results
    finally:
        for process in processes:
            process.kill()
            process.join()


def _collect(receivers: list[Connection], deadline_s: float) -> list[Any]:
    """Wait for every rank's result, or for the first failure."""
    results: dict[int, Any] = {}
    while len(results) < len(receivers):
        waiting = [receiver for rank, receiver in enumerate(receivers) if rank not in results]
        ready = wait(waiting, timeout=max(0.0, deadline_s - time.monotonic()))
        if not ready:
            missing = [rank for rank in range(len(receivers)) if rank not in results]
            raise MachineError(f"no answer from rank {', '.join(map(str, missing))} in time; all ranks were stopped")
        for receiver in ready:
            rank = receivers.index(cast(Connection, receiver))
            results[rank] = _receive(receivers[rank], rank)
    return [results[rank] for rank in range(len(receivers))]


def _receive(receiver: Connection, rank: int) -> Any:
    try:
        succeeded, value = receiver.recv()
    except EOFError:
        raise MachineError(f"rank {rank} died without a word; all ranks were stopped") from None
    if not succeeded:
        raise MachineError(f"rank {rank} failed; all ranks were stopped:\n{value}")
    return value


def _run_rank(
    pipe: Connection, function: Callable[..., Any], rank: int, size: int, port: int, timeout_s: float, args: Any
) -> None:
    """A child's life: join, call, answer, leave."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    environment = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    # Without GPUs, of which there may be fewer than ranks, and none is like another in its rounding.
    os.environ.update(environment, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), CUDA_VISIBLE_DEVICES="")
    torch.set_num_threads(1)
    try:
        world: World = join_world(timeout_s=timeout_s, wait_s=timeout_s)
        result = function(world, *args)
        leave_world(world)
    except LlmforgeError as error:
        pipe.send((False, f"{type(error).__name__}: {error}"))
    except Exception:  # reported to the parent, whatever it was
        pipe.send((False, traceback.format_exc()))
    else:
        pipe.send((True, result))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
