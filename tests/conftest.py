"""What all tests share: the larger real data where it is there, and the command line as a child process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# Numbers are compared bit by bit and between ranks, of which a machine may have more than GPUs.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# A loaded machine is no failure: examples are limited in number, not in time.
settings.register_profile("llmforge", deadline=None)
settings.load_profile("llmforge")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of larger real data, named by LLMFORGE_TEST_DATA."""
    folder = os.environ.get("LLMFORGE_TEST_DATA")
    if not folder:
        pytest.skip("LLMFORGE_TEST_DATA is not set: this test needs the larger real data")
    return Path(folder)


@pytest.fixture(scope="session")
def llmforge() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own: llmforge("run", "-c", file, cwd=...)."""

    def call(*words: object, cwd: Path | None = None, timeout: float = 240, env: dict[str, str] | None = None) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "llmforge", *map(str, words)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def write_jsonl() -> Callable[[Path, list[dict[str, Any]]], Path]:
    """Write objects as JSON lines."""

    def write(path: Path, rows: list[dict[str, Any]]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real corpus; see tests/corpus.py."""
    from corpus import make_corpus

    return make_corpus(tmp_path_factory.mktemp("corpus"))
