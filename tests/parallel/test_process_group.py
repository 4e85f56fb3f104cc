import logging
import socket
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from llmforge.core.errors import MachineError, SettingsError
from llmforge.parallel import process_group
from llmforge.parallel.process_group import World, join_world, launched_size


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


def test_groups_of_gpus_name_their_gpu_and_wait_as_long_as_a_checkpoint_takes(monkeypatch):
    asked = {}
    met = iter([(0, 0, 0)] * 2)
    monkeypatch.setattr(process_group, "rendezvous", lambda *_, timeout: asked.update(meet=timeout) or met)
    monkeypatch.setattr(process_group, "PrefixStore", lambda prefix, store: store)
    monkeypatch.setattr(dist, "init_process_group", lambda backend, **given: asked.update(given, backend=backend))
    for kind, backend, named in (("cuda", "nccl", torch.device("cuda", 1)), ("cpu", "gloo", None)):
        device = torch.device(kind, 1) if kind == "cuda" else torch.device(kind)
        process_group._make_process_group(World(1, 4, 1, device), 120, 1800)
        assert (asked["backend"], asked["device_id"]) == (backend, named)
        assert (asked["meet"], asked["timeout"]) == (timedelta(minutes=2), timedelta(minutes=30))


def test_a_gpu_that_torch_cannot_use_is_told(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("llmforge"), "propagate", True)
    monkeypatch.setattr(process_group, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    join_world({"CUDA_VISIBLE_DEVICES": ""})  # no GPU is what was asked for
    assert not caplog.records
    join_world({})
    assert "this machine has an NVIDIA GPU, and torch" in caplog.text


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SettingsError, match="LOCAL_RANK is 1, but this machine has 1 GPU") as caught:
        join_world(launched())
    assert "CUDA_VISIBLE_DEVICES" in caught.value.hint
