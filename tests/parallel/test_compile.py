"""torch.compile: compiled blocks compute what blocks compute, and are taken only where they pay."""

import logging
import math

import pytest
import torch

from llmforge.arch.presets import PRESETS
from llmforge.config.train import COMPILED_UNDER
from llmforge.core.errors import MachineError
from llmforge.parallel import compile as compiling
from llmforge.parallel import parity
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.process_group import join_world

NANO = PRESETS["gpt2-nano"]


def chosen(num_passes, caplog):
    """What is chosen on this process alone, and what is said."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="llmforge"):
        choice = compiling.pays(NANO, "fp32", micro_batch_sequences=1, num_passes=num_passes, world=join_world({}))
    return choice, caplog.messages[-1]


@pytest.fixture
def seconds(monkeypatch):
    """Seconds that passes of the trial take, in the order of asking; nothing is compiled."""
    found = []
    monkeypatch.setattr(compiling, "pass_seconds", lambda *_: found.pop(0))
    monkeypatch.setattr(compiling, "compile_blocks", lambda model: None)
    return found


def test_a_long_training_is_compiled_where_that_is_faster(seconds, caplog):
    seconds[:] = [1.0, 0.5]
    assert chosen(2000, caplog) == (
        True,
        "compile: true, because a pass takes 0.5 s compiled and 1 s not, and compiling took 0 s",
    )
    seconds[:] = [1.0, 0.99]
    assert chosen(2000, caplog)[0] is False


def test_a_short_training_tries_nothing(seconds, caplog):
    seconds[:] = [0.1]
    assert chosen(100, caplog) == (False, "compile: false, because 100 passes of 0.1 s are over before it would pay")


def test_what_does_not_compile_is_told_and_trains_uncompiled(seconds, caplog, monkeypatch):
    seconds[:] = [1.0]
    monkeypatch.setattr(compiling.shutil, "which", lambda name: None)
    assert chosen(2000, caplog) == (False, "compile: false, because blocks could not be compiled here")
    assert "rank 0: blocks could not be compiled: train.compile is on, and there is no C++ compiler" in caplog.text
    with pytest.raises(MachineError, match="no C\\+\\+ compiler"):
        compiling.require_compiler(torch.device("cpu"))


def test_a_model_that_no_device_holds_is_not_tried(monkeypatch, caplog):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(compiling, "pass_seconds", fail)
    choice, message = chosen(10**6, caplog)
    assert (choice, "one device does not hold the whole model" in message) == (False, True)


def measure(world, names):
    """Gradients of a first step and the losses of some, by strategy and by whether blocks are compiled."""
    arch, measured = parity.shrink(NANO), {}
    for name in names:
        for compiled in (False, True):
            strategy = parity._prepared(world, {"strategy": name, "compile": compiled}, arch, parity._sgd)
            strategy.forward_backward(parity._share(strategy, 0), seed=0)
            gradients = parity._arrays(strategy.gradients(), world)
            strategy.discard()
            measured[name, compiled] = gradients, parity._train(strategy, 0.1, 3, 1, world)[0]
    return measured


@pytest.mark.slow
@pytest.mark.dist
def test_compiled_blocks_compute_the_same():
    single = run_in_processes(measure, 1, ["single"], timeout_s=280)[0]
    both = single | run_in_processes(measure, 2, ["ddp", "fsdp"], timeout_s=280)[0]
    assert {name for name, _ in both} == set(COMPILED_UNDER)
    expected, losses = single["single", False]
    nothing = {name: gradient * 0 for name, gradient in expected.items()}
    for gradients, compiled_losses in both.values():
        assert parity._difference(gradients, expected, nothing) <= 1e-5
        assert compiled_losses == pytest.approx(losses, rel=1e-5)
    assert not math.isnan(losses[-1])
