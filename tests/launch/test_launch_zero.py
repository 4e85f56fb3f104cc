"""ZeRO-2 through the command line: under torchrun, and under DeepSpeed's launcher with and without its own option."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.dist, pytest.mark.slow, pytest.mark.timeout(280)]

STEPS, BATCH_TOKENS = 4, 128


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, llmforge: Callable[..., subprocess.CompletedProcess[str]]) -> Path:
    """The settings of a tiny run that is tokenized and not trained."""
    folder = tmp_path_factory.mktemp("zero")
    rows = [{"id": f"{n:032x}", "text": f"line {n} " * 40, "source": "a", "url": f"a:{n}"} for n in range(40)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {
        "run": {"name": "tiny", "dir": str(folder), "workers": 1},
        "tokenize": {"data": str(folder / "text.jsonl"), "vocab_size": 300, "val_fraction": 0.1},
        "model": {"layers": 2, "dim": 32, "heads": 2, "context": 16},
        "train": {
            "strategy": "zero2",
            "global_batch_tokens": BATCH_TOKENS,
            "micro_batch_sequences": 2,
            "tokens": STEPS * BATCH_TOKENS,
            "precision": "fp32",
            "log_every_steps": 1,
            "threads": 1,
        },
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    done = llmforge("tokenize", "-c", path)
    assert done.returncode == 0, done.stderr
    return path


def losses(config: Path) -> list[float]:
    lines = (config.parent / "tiny/train/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def set_aside(config: Path) -> None:
    (config.parent / "tiny/train").rename(config.parent / f"kept-{len(list(config.parent.iterdir()))}")


@pytest.fixture(scope="module")
def single(config: Path, llmforge: Callable[..., subprocess.CompletedProcess[str]]) -> list[float]:
    """The losses of one process."""
    done = llmforge("train", "-c", config, "--strategy", "single")
    assert done.returncode == 0, done.stderr
    found = losses(config)
    set_aside(config)
    return found


def test_zero_under_torchrun(
    config: Path, single: list[float], llmforge: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = llmforge("train", "-c", config, "--nproc", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]  # nothing else stands on stdout
    assert losses(config) == pytest.approx(single, rel=1e-5)
    written = json.loads((config.parent / "tiny/train/deepspeed.json").read_text(encoding="utf-8"))
    assert written["zero_optimization"]["stage"] == 2
    set_aside(config)


@pytest.mark.parametrize("options", [["--no_local_rank"], []], ids=["--no_local_rank", "--local_rank"])
def test_zero_under_the_deepspeed_launcher(config: Path, single: list[float], options: list[str]) -> None:
    launcher = Path(sys.executable).with_name("deepspeed")
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [
            launcher,
            "--num_gpus",
            "2",
            "--master_port",
            "29731",
            *options,
            "--module",
            "llmforge",
            "train",
            "-c",
            config,
        ],
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"},
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(config) == pytest.approx(single, rel=1e-5)
    set_aside(config)
