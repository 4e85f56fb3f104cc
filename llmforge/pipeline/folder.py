"""An artifact's folder: built beside as `<stage>.partial`, published by a rename, rebuilt by two renames.

runs/<run>/dedup.partial/   under construction; identity.json says of what
runs/<run>/dedup/           complete: its manifest.json was written last
runs/<run>/dedup.old/       the one before, for the moment between the two renames of a rebuild
"""

import shutil
from pathlib import Path
from typing import Any

from llmforge.core.files import read_json, remove_leftovers, rename_durably, sync_folder, write_json
from llmforge.pipeline.manifest import MANIFEST, Manifest, read_manifest, write_manifest

_IDENTITY = "identity.json"


class StageFolder:
    """Where a stage's artifact lives in a run, and the moves that keep it whole."""

    def __init__(self, run_folder: Path, stage: str) -> None:
        self.final = run_folder / stage
        self.partial = run_folder / f"{stage}.partial"
        self.old = run_folder / f"{stage}.old"

    def recover(self) -> None:
        """Finish a publication that a killed process left half done, and remove its temporary files."""
        if (self.partial / MANIFEST).exists():
            self._swap_in()
        elif self.old.exists() and not self.final.exists():
            rename_durably(self.old, self.final)
        if self.final.exists():
            shutil.rmtree(self.old, ignore_errors=True)
        if self.partial.exists():
            remove_leftovers(self.partial)

    def finished(self) -> Manifest | None:
        """The manifest of the complete artifact, if there is one."""
        return read_manifest(self.final) if (self.final / MANIFEST).exists() else None

    def begun(self) -> dict[str, Any] | None:
        """The identity and session count of the artifact under construction, if there is one."""
        path = self.partial / _IDENTITY
        return read_json(path) if path.exists() else None

    def begin(self, identity: dict[str, Any]) -> int:
        """Start, or go on with, the construction of an artifact of this identity; returns the session's number."""
        begun = self.begun()
        sessions = 1 if begun is None else begun["sessions"] + 1
        write_json(self.partial / _IDENTITY, {"identity": identity, "sessions": sessions})
        return sessions

    def discard_partial(self) -> None:
        """Remove the artifact under construction."""
        if self.partial.exists():
            shutil.rmtree(self.partial)

    def publish(self, manifest: Manifest) -> None:
        """Commit: every name durable, the manifest last, then the renames."""
        for folder in [path for path in self.partial.rglob("*") if path.is_dir()]:
            sync_folder(folder)
        write_manifest(self.partial, manifest)
        sync_folder(self.partial)
        self._swap_in()

    def _swap_in(self) -> None:
        """Give the committed folder its final name; an older artifact steps aside first and goes afterwards."""
        shutil.rmtree(self.partial / "work", ignore_errors=True)
        (self.partial / _IDENTITY).unlink(missing_ok=True)
        remove_leftovers(self.partial)
        if self.final.exists():
            shutil.rmtree(self.old, ignore_errors=True)
            rename_durably(self.final, self.old)
        rename_durably(self.partial, self.final)
        shutil.rmtree(self.old, ignore_errors=True)
