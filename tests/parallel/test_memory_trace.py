"""The traced peak of a step against the closed form, and what is said without a tracker."""

import sys
from dataclasses import replace

import pytest

from llmforge.arch.presets import preset
from llmforge.core.errors import MachineError
from llmforge.parallel.memory_trace import trace_step

SMALL = {"layers": 2, "vocab_size": 512, "context": 64}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_closed_form_is_within_a_tenth_of_the_trace(precision):
    found = trace_step(replace(preset("gpt2-tiny"), **SMALL), 8, precision)
    assert abs(found.error) < 0.1
    assert found.peak_bytes > 16 * 10**5


def test_a_torch_without_the_tracker_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.distributed._tools.mem_tracker", None)
    with pytest.raises(MachineError, match="has no memory tracker"):
        trace_step(replace(preset("gpt2-tiny"), **SMALL), 1)
