"""What a training says of itself: its identity, and its manifest from the first moment to the last."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from llmforge import __version__
from llmforge.config.base import identity_settings
from llmforge.config.schema import Settings
from llmforge.core.hardware import peak_rss_bytes
from llmforge.core.hashing import hash_value
from llmforge.pipeline.build import describe_environment
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.fingerprint import differences
from llmforge.pipeline.inputs import open_artifact
from llmforge.pipeline.manifest import Manifest, write_manifest
from llmforge.pipeline.records import describe
from llmforge.train.plan import source_weights

STAGE = "train"
VERSION = 3
# Recorded, not fingerprinted: a run goes on under a newer torch, and its states say which one wrote them.
PACKAGES = ("numpy", "safetensors", "tokenizers", "torch")

State = Literal["running", "preempted", "finished", "diverged"]


def training_identity(settings: Settings) -> dict[str, Any]:
    """Everything that decides which training this is.

    The horizon, the strategy, the precision and the place are execution: training longer, or elsewhere, goes on.

    Raises: InputError if the token store is missing or damaged.
    """
    return {
        "stage": STAGE,
        "version": VERSION,
        "seed": settings.run.seed,
        "settings": {
            "train": identity_settings(settings.train),
            "model": identity_settings(settings.model),
            "curate.sources.weight": source_weights(settings),
        },
        "packages": {},
        "inputs": {"stage tokenize": open_artifact(settings.run_folder, "tokenize").identity},
    }


def identity_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What changed between two identities, one sentence each."""
    return [line.lstrip(".") for line in differences(old, new, "")]


class Record:
    """The manifest of a training; rank 0 writes it, at every change of state.

    Args:
        folder: the training's folder.
        settings: the run's settings.
        identity: see `training_identity`.
        before: the manifest of the session before, if this one goes on.
    """

    def __init__(self, folder: Path, settings: Settings, identity: dict[str, Any], before: Manifest | None) -> None:
        self._folder = folder
        self._start_s = time.monotonic()
        self.manifest = Manifest(
            stage=STAGE,
            stage_version=VERSION,
            llmforge_version=__version__,
            state="running",
            started=before.started if before else _now(),
            finished=None,
            settings=settings.train.model_dump(mode="json"),
            fingerprint=hash_value(identity),
            identity=identity,
            execution=dict(before.execution) if before else {},
            inputs={},
            outputs=[],
            counts=Counts().to_dict(),
            results={},
            seed=settings.run.seed,
            environment=describe_environment(PACKAGES),
            wall_s=0.0,
            sessions=before.sessions + 1 if before else 1,
            peak_rss_bytes=0,
            warnings=[],
        )

    def write(self, state: State) -> None:
        """Write the manifest in this state."""
        self.manifest.state = state
        self.manifest.wall_s = round(time.monotonic() - self._start_s, 3)
        self.manifest.peak_rss_bytes = peak_rss_bytes()
        write_manifest(self._folder, self.manifest)

    def finish(self, results: dict[str, Any], files: list[Path]) -> None:
        """Write the manifest of a finished training, with its figures and what it made."""
        self.manifest.results = results
        self.manifest.outputs = [describe(self._folder, path) for path in sorted(files)]
        self.manifest.finished = _now()
        self.write("finished")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
