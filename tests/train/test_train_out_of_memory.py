"""Out of memory: the error has the plan's figures and three settings that take less."""

from pathlib import Path

import pytest
import torch
from tiny_run import make_settings

from llmforge.core.errors import MachineError
from llmforge.parallel.process_group import World
from llmforge.train.out_of_memory import cheaper_settings, explains_out_of_memory
from llmforge.train.placement import layout_of, memory_of
from llmforge.train.plan import resolve_model

ALONE = World(0, 1, 0, torch.device("cpu"))


def test_the_error_says_what_was_planned_and_what_takes_less(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with (
        pytest.raises(MachineError, match="out of memory: CUDA out of memory") as error,
        explains_out_of_memory(settings, resolve_model(settings), ALONE),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")
    assert "single plans" in error.value.what
    assert "optimizer" in error.value.what
    assert error.value.hint is not None
    assert error.value.hint.count(" needs ") == 3
    assert "train.micro_batch_sequences=1" in error.value.hint


def test_each_change_is_predicted_to_take_less(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    arch = resolve_model(settings)
    now = memory_of(settings, arch, layout_of(settings.train, arch, "ddp", 2)).total
    found = cheaper_settings(settings, arch, "ddp", 2)
    assert {"train.strategy=fsdp", "train.strategy=zero3"} <= {words for words, _ in found}
    totals = [memory.total for _, memory in found]
    assert totals == sorted(totals, reverse=True)
    assert max(totals) < now


def test_a_failed_allocation_on_a_cpu_is_recognised_and_other_errors_pass(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    arch = resolve_model(settings)
    with pytest.raises(MachineError, match="out of memory"), explains_out_of_memory(settings, arch, ALONE):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")
    with pytest.raises(RuntimeError, match="shapes"), explains_out_of_memory(settings, arch, ALONE):
        raise RuntimeError("shapes do not match")


def test_a_real_allocation_that_fails_is_explained(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with (
        pytest.raises(MachineError, match="out of memory"),
        explains_out_of_memory(settings, resolve_model(settings), ALONE),
    ):
        torch.empty(2**60, dtype=torch.uint8)
