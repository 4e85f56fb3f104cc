"""Runs of the dedup stage over documents given in the test."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from deduplicating import Result, Row, read_result, write_shards

from llmforge.config.schema import Settings
from llmforge.dedup.stage import DEDUP
from llmforge.pipeline.build import BuildOptions, build_stage


@pytest.fixture
def run_dedup(tmp_path: Path) -> Callable[..., Result]:
    """Run the stage over shards of documents: run_dedup([[row, ...], ...], workers=2, minhash={...}).

    With `resume` the last run goes on where it stopped.
    """
    runs: list[Path] = []

    def run(
        shards: Sequence[Sequence[Row]], *, workers: int = 1, strict: bool = False, resume: bool = False, **dedup: Any
    ) -> Result:
        if not resume:
            runs.append(tmp_path / f"run{len(runs)}")
            write_shards(runs[-1] / "input", shards)
        folder = runs[-1]
        settings = Settings.model_validate(
            {"run": {"workers": workers}, "dedup": {"data": str(folder / "input"), **dedup}}
        )
        built = build_stage(DEDUP, settings, folder, BuildOptions(strict=strict))
        assert built.status == ("resumed" if resume else "built")
        return read_result(built.folder, built.manifest)

    return run
