"""Figures of the machine and of this process."""

import subprocess
import sys

import numpy as np

from llmforge.core.hardware import peak_rss_bytes

_ASK = "from llmforge.core.hardware import peak_rss_bytes; print(peak_rss_bytes())"


def test_the_peak_is_at_least_what_was_touched() -> None:
    before = peak_rss_bytes()
    touched = np.ones(before // 8 + 8_000_000)
    assert peak_rss_bytes() >= touched.nbytes


def test_a_child_does_not_inherit_the_peak_of_its_parent() -> None:
    touched = np.ones(40_000_000)
    peak = int(subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True).stdout)
    assert peak < touched.nbytes / 2
