"""A folder of a run, with the manifest that a training leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmforge.pipeline.counts import Counts
from llmforge.pipeline.manifest import Manifest, write_manifest


@pytest.fixture
def trained_run() -> Callable[..., Path]:
    """Write the manifest of a training: trained_run(folder, params=..., tokens=..., val_loss=...)."""

    def write(folder: Path, *, state: str = "finished", store: str = "a", execution=None, **results: object) -> Path:
        (folder / "train").mkdir(parents=True)
        manifest = Manifest(
            stage="train",
            stage_version=1,
            llmforge_version="0",
            state=state,
            started="2000-01-01T00:00:00+00:00",
            finished=None,
            settings={},
            fingerprint="0",
            identity={"inputs": {"stage tokenize": {"fingerprint": store, "content": store}}},
            execution=execution or {},
            inputs={},
            outputs=[],
            counts=Counts().to_dict(),
            results=results if state == "finished" else {},
            seed=1,
            environment={},
            wall_s=1.0,
            sessions=1,
            peak_rss_bytes=0,
            warnings=[],
        )
        write_manifest(folder / "train", manifest)
        return folder

    return write
