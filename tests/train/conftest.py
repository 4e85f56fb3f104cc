"""A token store of a few thousand tokens from two sources, and runs of a tiny model on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import orjson
import pytest
from safetensors.numpy import load_file

from llmforge.config.schema import Settings
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.tokenize.stage import TOKENIZE
from llmforge.train.stage import TrainOutcome, train

CONTEXT, BATCH_SEQUENCES = 16, 8
BATCH_TOKENS = CONTEXT * BATCH_SEQUENCES
STEPS = 12


def make_settings(folder: Path, **train_values: Any) -> Settings:
    """Settings of the tiny run in `folder`; `train_values` replace values of its train section."""
    values = {
        "strategy": "auto",
        "global_batch_tokens": BATCH_TOKENS,
        "micro_batch_sequences": 2,
        "tokens": STEPS * BATCH_TOKENS,
        "precision": "fp32",
        "log_every_steps": 1,
        "eval_every_steps": 5,
        "eval_tokens": 128,
        "threads": 1,
        "checkpoint": {"every_steps": 4},
    }
    return Settings.model_validate(
        {
            "run": {"name": "tiny", "dir": str(folder), "workers": 1},
            "tokenize": {"data": str(folder / "text.jsonl"), "vocab_size": 300, "val_fraction": 0.1},
            "model": {"layers": 2, "dim": 32, "heads": 2, "context": CONTEXT, "dropout": 0.1},
            "train": values | train_values,
        }
    )


@pytest.fixture(scope="session")
def tokenized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds a run with nothing but a token store."""
    folder = tmp_path_factory.mktemp("tokenized")
    with open(folder / "text.jsonl", "w", encoding="utf-8") as file:
        for number, (name, text) in enumerate(sorted(topics.items())[:24]):
            row = {"id": f"{number:032x}", "text": text[:1500], "source": "ab"[number % 2], "url": f"topic:{name}"}
            file.write(json.dumps(row) + "\n")
    settings = make_settings(folder)
    settings.run_folder.mkdir()
    build_stage(TOKENIZE, settings, settings.run_folder, BuildOptions())
    return folder


@pytest.fixture
def folder(tokenized: Path, tmp_path: Path) -> Path:
    """A copy of the tokenized run, to train in."""
    shutil.copytree(tokenized, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="session")
def undisturbed(tokenized: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainOutcome:
    """The tiny run, trained in one go."""
    folder = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(tokenized, folder, dirs_exist_ok=True)
    return train(make_settings(folder))


def losses(train_folder: Path) -> list[tuple[int, str, str, str]]:
    """The deterministic fields of every line of the metrics, to the last bit."""
    lines = [orjson.loads(line) for line in (train_folder / "metrics.jsonl").read_bytes().splitlines()]
    return [
        (
            line["step"],
            line["loss"].hex(),
            line["grad_norm"].hex(),
            float(line.get("val_loss", 0)).hex(),
            line["data_hash"],
        )
        for line in lines
    ]


def final_weights(train_folder: Path) -> dict[str, bytes]:
    """The weights of the newest checkpoint, as bytes."""
    newest = max((train_folder / "checkpoints").glob("step-????????"))
    return {name: tensor.tobytes() for name, tensor in load_file(newest / "weights.safetensors").items()}


@pytest.fixture
def train_apart() -> Callable[..., subprocess.Popen[str]]:
    """Train in a process of its own, which a test may break."""
    started = []

    def start(settings: Settings, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("train_apart.py")), settings.model_dump_json()],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
