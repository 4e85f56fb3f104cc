"""What a stage reads, known by content and by place within its source, never by an absolute path."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.core.errors import InputError
from llmforge.core.hashing import HashCache, hash_value
from llmforge.pipeline.manifest import MANIFEST, Manifest, read_manifest


@dataclass(frozen=True)
class InputFile:
    """A file of the user's.

    `locator` is its path relative to the source, with forward slashes: part of every document's identity. A file
    that is not on this machine has a `url`, and a `version` that its store gives it in place of a hash.
    """

    path: Path
    source: str
    locator: str
    num_bytes: int
    url: str = ""
    version: str = ""


@dataclass(frozen=True)
class Artifact:
    """A finished artifact of an earlier stage."""

    folder: Path
    manifest: Manifest

    def files(self, prefix: str) -> list[Path]:
        """The artifact's files below `prefix`, in shard order."""
        return [self.folder / output.path for output in self.manifest.outputs if output.path.startswith(prefix)]

    @property
    def identity(self) -> dict[str, str]:
        """The artifact's fingerprint, and the hash of what it holds."""
        contents = [(output.path, output.sha256) for output in self.manifest.outputs]
        return {"fingerprint": self.manifest.fingerprint, "content": hash_value(contents)}


@dataclass(frozen=True)
class Inputs:
    """The files and artifacts that a stage reads, and what it reads of other sections of the settings."""

    files: tuple[InputFile, ...] = ()
    artifacts: tuple[tuple[str, Artifact], ...] = ()
    sections: tuple[tuple[str, dict[str, Any]], ...] = ()

    def artifact(self, stage: str) -> Artifact | None:
        """The artifact of an earlier stage, if it is among the inputs."""
        return dict(self.artifacts).get(stage)

    @property
    def num_bytes(self) -> int:
        """Size of all inputs (bytes)."""
        own = sum(file.num_bytes for file in self.files)
        return own + sum(output.size for _, artifact in self.artifacts for output in artifact.manifest.outputs)

    def identity(self, cache: HashCache) -> dict[str, Any]:
        """Content hashes of everything read, by source and locator, and the settings of other sections."""
        files = {f"{file.source}:{file.locator}": file.version or cache.hash_file(file.path) for file in self.files}
        artifacts = {f"stage {name}": artifact.identity for name, artifact in self.artifacts}
        return {**files, **artifacts, **{f"settings of {name}": values for name, values in self.sections}}


def open_artifact(run_folder: Path, stage: str) -> Artifact:
    """The finished artifact of a stage.

    Raises: InputError if the stage has not finished, or its files are missing or of another size.
    """
    folder = run_folder / stage
    if not (folder / MANIFEST).exists():
        raise InputError(f"{folder}: the stage {stage!r} has not finished", f"run `llmforge {stage}` first")
    artifact = Artifact(folder, read_manifest(folder))
    if problem := artifact.manifest.find_damage(folder):
        raise InputError(problem, f"rebuild it: llmforge {stage} --force")
    return artifact
