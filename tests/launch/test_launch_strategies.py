"""Every strategy from the command line: `llmforge run` under torchrun, ZeRO under DeepSpeed's launcher too."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.dist, pytest.mark.slow, pytest.mark.timeout(290)]

STEPS, BATCH_TOKENS = 4, 128
PROCESSES = {
    "ddp": 2,
    "fsdp": 2,
    "model": 2,
    "pipeline": 2,
    "tensor": 2,
    "zero1": 2,
    "zero2": 2,
    "zero3": 2,
    "2d": 4,
    "3d": 8,
}
ZERO = ["zero1", "zero2", "zero3"]

CommandLine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, llmforge: CommandLine) -> Path:
    """The settings of a tiny run that is brought up to its training."""
    folder = tmp_path_factory.mktemp("strategies")
    rows = [{"id": f"{n:032x}", "text": f"line {n} " * 40, "source": "a", "url": f"a:{n}"} for n in range(40)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = {
        "run": {"name": "tiny", "dir": str(folder), "workers": 1},
        "curate": {"sources": [{"path": str(folder / "text.jsonl")}], "filters": []},
        "dedup": {"minhash": None},
        "tokenize": {"vocab_size": 300, "val_fraction": 0.1},
        "plan_scaling": {"budget_flops": 1e12},
        "model": {"preset": "gpt2-nano", "layers": 2, "dim": 32, "heads": 2, "context": 16},
        "train": {
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
    return path


def losses(config: Path) -> list[float]:
    lines = (config.parent / "tiny/train/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def set_aside(config: Path) -> None:
    (config.parent / "tiny/train").rename(config.parent / f"kept-{len(list(config.parent.iterdir()))}")


@pytest.fixture(scope="module")
def single(config: Path, llmforge: CommandLine) -> list[float]:
    """The losses of one process, and everything that comes before a training."""
    done = llmforge("run", "-c", config, "--set", "train.strategy=single")
    assert done.returncode == 0, done.stderr
    found = losses(config)
    assert len(found) == STEPS
    set_aside(config)
    return found


@pytest.mark.parametrize("strategy", PROCESSES)
def test_a_strategy_under_torchrun(config: Path, single: list[float], llmforge: CommandLine, strategy: str) -> None:
    nproc = PROCESSES[strategy]
    words = ["--set", f"train.strategy={strategy}", "--set", f"train.nproc={nproc}", "--json"]
    done = llmforge("run", "-c", config, *words, env={"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    *before, trained = json.loads(done.stdout)["stages"]  # nothing else stands on stdout
    assert {stage["status"] for stage in before} == {"up to date"}
    assert trained["status"] == f"{strategy} on {nproc} processes"
    assert losses(config) == pytest.approx(single, rel=1e-5)
    assert "Warning" not in done.stderr  # of libraries, about which a user can do nothing
    if strategy in ZERO:
        written = json.loads((config.parent / "tiny/train/deepspeed.json").read_text(encoding="utf-8"))
        assert written["zero_optimization"]["stage"] == int(strategy[-1])
    set_aside(config)


# Without the option the launcher adds a flag of its own to our command line.
@pytest.mark.parametrize(
    ("strategy", "options"), [("zero1", ["--no_local_rank"]), ("zero2", []), ("zero3", ["--no_local_rank"])]
)
def test_zero_under_the_deepspeed_launcher(
    config: Path, single: list[float], strategy: str, options: list[str]
) -> None:
    launcher = Path(sys.executable).with_name("deepspeed")
    words = ["--num_gpus", "2", "--master_port", "29731", *options, "--module", "llmforge", "train", "-c", str(config)]
    done = subprocess.run(
        [launcher, *words, "--strategy", strategy],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OMP_NUM_THREADS": "1",
            "DS_ACCELERATOR": "cpu",
        },
        cwd=config.parent,
        capture_output=True,
        text=True,
        timeout=270,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert losses(config) == pytest.approx(single, rel=1e-5)
    set_aside(config)
