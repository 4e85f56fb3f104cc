"""A token store of a few thousand tokens from two sources, and runs of a tiny model on it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics

import pytest
from tiny_run import make_settings

from llmforge.config.schema import Settings
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.tokenize.stage import TOKENIZE
from llmforge.train.faults import VARIABLE
from llmforge.train.stage import TrainOutcome, train


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


@pytest.fixture(scope="session")
def train_apart() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Train in a process of its own, which a test may break."""
    started: list[subprocess.Popen[str]] = []

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
        process.communicate()


@pytest.fixture(scope="session")
def killed(
    tokenized: Path, train_apart: Callable[..., subprocess.Popen[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a run that was killed at step 10; there are checkpoints of steps 4 and 8."""
    folder = tmp_path_factory.mktemp("killed")
    shutil.copytree(tokenized, folder, dirs_exist_ok=True)
    process = train_apart(make_settings(folder), **{VARIABLE: "kill@step=10"})
    assert process.wait(timeout=120) == -signal.SIGKILL
    return folder


@pytest.fixture
def stopped(killed: Path, tmp_path: Path) -> Settings:
    """The settings of a copy of the killed run."""
    shutil.copytree(killed, tmp_path, dirs_exist_ok=True)
    return make_settings(tmp_path)
