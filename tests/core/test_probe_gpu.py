"""What an NVIDIA driver says of its GPUs' memory, and that nothing is made of silence."""

import subprocess

import pytest

from llmforge.core import probe


@pytest.mark.parametrize(
    ("said", "found"),
    [("81559\n81559\n", 81559 * 2**20), ("81559\n40536\n", 40536 * 2**20), ("", None), ("[N/A]", None)],
)
def test_the_smallest_gpu_counts(said, found, monkeypatch):
    answer = subprocess.CompletedProcess([], 0, stdout=said)
    monkeypatch.setattr(probe.subprocess, "run", lambda *args, **kwargs: answer)
    assert probe.gpu_memory_bytes() == found


def test_without_a_driver_nothing_is_known(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert probe.gpu_memory_bytes() is None
