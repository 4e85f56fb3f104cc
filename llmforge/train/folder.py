"""The folder of a training: there from the start, with its state in the manifest, and set aside before a new one.

runs/<run>/train/       the training; manifest.json says whether it runs, was preempted, diverged or is finished
runs/<run>/train.old/   the one before `--force`, kept until the new one has saved its first checkpoint
"""

import shutil
from pathlib import Path

from llmforge.core.files import rename_durably
from llmforge.pipeline.manifest import MANIFEST, Manifest, read_manifest
from llmforge.train.status import StatusFolder


class TrainFolder:
    """Where a training lives in a run."""

    def __init__(self, run_folder: Path) -> None:
        self.path = run_folder / "train"
        self._old = run_folder / "train.old"
        self.checkpoints = self.path / "checkpoints"
        self.metrics = self.path / "metrics.jsonl"
        self.ledger = self.path / "ledger.jsonl"
        self.samples = self.path / "samples.jsonl"
        self.status = StatusFolder(self.path)

    def outputs(self, step: int) -> list[Path]:
        """The files of a training that ended at this step: its last checkpoint and its metrics."""
        return [self.metrics, *(self.checkpoints / f"step-{step:08d}").iterdir()]

    def manifest(self) -> Manifest | None:
        """What the training says of itself; None if none was begun."""
        return read_manifest(self.path) if (self.path / MANIFEST).exists() else None

    def recover(self) -> None:
        """Put a training back that was set aside by a process that died before it began the new one."""
        if self._old.exists() and self.manifest() is None:
            shutil.rmtree(self.path, ignore_errors=True)
            rename_durably(self._old, self.path)

    def set_aside(self) -> None:
        """Make room for a new training; of two that stand in its way, the one with a checkpoint stays."""
        from llmforge.model.saved import checkpoints  # brings torch, which a look at the folder does without

        if not self.path.exists():
            return
        if self._old.exists() and next(checkpoints(self.path), None) is None:
            shutil.rmtree(self.path)
            return
        shutil.rmtree(self._old, ignore_errors=True)
        rename_durably(self.path, self._old)

    def drop_old(self) -> None:
        """Remove the training that was set aside: the new one has a checkpoint now."""
        shutil.rmtree(self._old, ignore_errors=True)
