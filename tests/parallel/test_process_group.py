import socket

import pytest
import torch.distributed as dist

from llmforge.core.errors import MachineError, SettingsError
from llmforge.parallel.process_group import join_world, launched_size


def launched(**values):
    return {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"} | values


def test_without_a_launcher_there_is_one_process_and_no_process_group():
    world = join_world({})
    assert (world.rank, world.size, world.local_rank) == (0, 1, 0)
    assert launched_size({}) == 1


def test_the_size_comes_from_the_launcher():
    assert launched_size(launched()) == 4


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "2"}, "RANK is None in the environment"),
        (launched(WORLD_SIZE="two"), "WORLD_SIZE is 'two' in the environment; expected a whole number"),
        (launched(RANK="4"), "RANK is 4 and WORLD_SIZE is 4; ranks count from 0"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused_before_connecting(environment, message):
    with pytest.raises(SettingsError, match="torchrun") as caught:
        launched_size(environment)
    assert message in caught.value.what


@pytest.mark.dist
def test_a_world_that_nobody_answers_in_ends_with_the_time(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free_port = probe.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(free_port))
    with pytest.raises(MachineError, match=r"rank 1 of 2 could not reach the others within 2 s") as caught:
        join_world(launched(WORLD_SIZE="2"), timeout_s=2)
    assert "MASTER_ADDR" in caught.value.hint
    assert not dist.is_initialized()
