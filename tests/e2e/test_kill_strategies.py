"""Trainings under every kind of strategy: killed and resumed, and begun under one strategy and ended under another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def table(script: str, *words: str) -> list[list[str]]:
    """The cells of the rows that a script prints; it fails if a row is not as it should be."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, SCRIPTS / script, *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    return rows[2:]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(540)
@pytest.mark.parametrize("strategies", ["single,ddp,fsdp,zero2", "pipeline,3d"])
def test_killed_trainings_end_in_the_same_bits(strategies: str) -> None:
    rows = table("kill_table.py", "--kills", "3", "--strategies", strategies)
    assert [row[0] for row in rows] == strategies.split(",")
    assert all(row[2] == row[-1] == "3" for row in rows)


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.timeout(540)
def test_a_training_goes_on_under_another_strategy() -> None:
    rows = table("load_pairs.py", "--pairs", "8")
    assert len(rows) == 8
    assert all(float(row[2]) <= 1e-5 and float(row[3]) <= 1e-4 for row in rows)
