"""kill -9 at a random moment of any stage, then the same command: the same bytes as an undisturbed run."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from corpus import settings_text

STAGES = ("curate", "dedup", "tokenize", "plan-scaling", "train")
SEEDS = range(10)
SAME = {"step", "tokens", "loss", "grad_norm", "lr", "data_hash"}


@pytest.fixture(scope="module")
def whole(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run, and how long each of its stages took."""
    folder = tmp_path_factory.mktemp("kill")
    (folder / "c.yaml").write_text(settings_text(corpus, folder / "runs", "whole"))
    times = {}
    for stage in STAGES:
        start_s = time.monotonic()
        done = start(stage, folder, "whole")
        output = done.communicate(timeout=240)[0]
        assert done.returncode == 0, output
        times[stage] = time.monotonic() - start_s
    (folder / "times.json").write_text(json.dumps(times))
    return folder


def start(stage: str, folder: Path, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "llmforge",
            stage,
            "-c",
            "c.yaml",
            "--set",
            f"run.name={name}",
            "--set",
            "run.workers=2",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def result(folder: Path, stage: str) -> object:
    """What must be equal: every byte but the manifest's times; for training the losses and the last weights."""
    if stage == "train":
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        weights = sorted((folder / "checkpoints").glob("step-*/*.safetensors"))[-2:]
        return (
            [{key: line[key] for key in SAME & line.keys()} for line in lines],
            [hashlib.sha256(path.read_bytes()).hexdigest() for path in weights],
        )
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "manifest.json"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_ends_in_the_same_bytes(whole: Path, stage: str) -> None:
    expected = result(whole / "runs" / "whole" / stage, stage)
    took_s = json.loads((whole / "times.json").read_text())[stage]
    killed = 0
    for seed in SEEDS:
        run = whole / "runs" / f"killed-{seed}"
        run.mkdir()
        for before in STAGES[: STAGES.index(stage)]:
            shutil.copytree(whole / "runs" / "whole" / before, run / before)
        process = start(stage, whole, run.name)
        time.sleep(random.Random(f"{stage}-{seed}").uniform(0.2, 0.95) * took_s)
        killed += process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        again = start(stage, whole, run.name)
        output = again.communicate(timeout=240)[0]
        assert again.returncode == 0, output
        assert result(run / stage, stage) == expected, f"seed {seed}"
        shutil.rmtree(run)
    assert killed >= len(SEEDS) // 2
