"""kill -9 at a random moment of any stage, then the same command: the same bytes as an undisturbed run."""

import contextlib
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
    folder = tmp_path_factory.mktemp("kill") / "whole"
    folder.mkdir()
    (folder / "c.yaml").write_text(settings_text(corpus, Path("runs")))
    times = {}
    for stage in STAGES:
        start_s = time.monotonic()
        done = start(stage, folder)
        output = done.communicate(timeout=240)[0]
        assert done.returncode == 0, output
        times[stage] = time.monotonic() - start_s
    (folder / "times.json").write_text(json.dumps(times))
    return folder


def start(stage: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "llmforge",
            stage,
            "-c",
            "c.yaml",
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
    """Each seed has a folder of its own with a run of the same name: a run's name stands in recommended.yaml."""
    expected = result(whole / "runs" / "small" / stage, stage)
    took_s = json.loads((whole / "times.json").read_text())[stage]
    killed = 0
    for seed in SEEDS:
        folder = whole.parent / f"{stage}-{seed}"
        run = folder / "runs" / "small"
        run.mkdir(parents=True)
        shutil.copy(whole / "c.yaml", folder)
        for before in STAGES[: STAGES.index(stage)]:
            shutil.copytree(whole / "runs" / "small" / before, run / before)
        process = start(stage, folder)
        time.sleep(random.Random(f"{stage}-{seed}").uniform(0.15, 0.85) * took_s)
        killed += process.poll() is None
        with contextlib.suppress(ProcessLookupError):  # it was done before
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        again = start(stage, folder)
        output = again.communicate(timeout=240)[0]
        assert again.returncode == 0, output
        assert result(run / stage, stage) == expected, f"seed {seed}"
        shutil.rmtree(folder)
    assert killed >= 3
