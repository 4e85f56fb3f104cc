import os
import time

import pytest
import torch
import torch.distributed as dist

from llmforge.core.errors import MachineError, SettingsError
from llmforge.parallel.local_world import run_in_processes

pytestmark = pytest.mark.dist


def add_up(world, start):
    total = torch.tensor(start + world.rank)
    dist.all_reduce(total)
    return world.rank, world.size, world.backend, int(total)


def fail_on_one(world, error):
    if world.rank == 1:
        raise error
    dist.barrier()  # the others wait, as they would in a step


def die_on_one(world):
    if world.rank == 1:
        os._exit(7)
    dist.barrier()


def see_gpus(world):
    return os.environ["CUDA_VISIBLE_DEVICES"]


def hang(world):
    if world.rank == 0:
        time.sleep(600)


def test_ranks_meet_and_answer_in_order():
    assert run_in_processes(add_up, 2, 10, timeout_s=60) == [(0, 2, "gloo", 21), (1, 2, "gloo", 21)]


def test_ranks_see_no_gpu():
    """A machine may have one GPU and be asked for eight ranks."""
    assert run_in_processes(see_gpus, 2, timeout_s=60) == ["", ""]


def test_a_failure_of_one_rank_ends_all_with_its_message():
    start_s = time.monotonic()
    with pytest.raises(MachineError, match=r"(?s)rank 1 failed; all ranks were stopped:.*ValueError: odd shard"):
        run_in_processes(fail_on_one, 2, ValueError("odd shard"), timeout_s=280)
    with pytest.raises(MachineError, match="SettingsError: no such thing"):
        run_in_processes(fail_on_one, 2, SettingsError("no such thing"), timeout_s=280)
    assert time.monotonic() - start_s < 200  # long before the time is over, on a busy machine too


def test_a_rank_that_dies_is_named():
    with pytest.raises(MachineError, match="rank 1 died without a word"):
        run_in_processes(die_on_one, 2, timeout_s=60)


def test_a_hang_ends_with_the_time():
    with pytest.raises(MachineError, match="no answer from rank 0"):
        run_in_processes(hang, 2, timeout_s=6)
