"""The manifest: what a stage did, with which settings, inputs and packages. It is written last and is the commit."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmforge.core.errors import InputError
from llmforge.core.files import read_json, write_json
from llmforge.core.hashing import hash_file
from llmforge.pipeline.counts import Counts

MANIFEST = "manifest.json"
SCHEMA = 1


class Output(BaseModel):
    """A file of an artifact: its path within the folder, size in bytes and SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """What a stage did.

    `identity` is what the fingerprint covers, written out, so that a difference can be named; `results` are the
    figures that the steps reported; `sessions` counts how often the work was started until it was done, and
    `wall_s` is the time of the last session.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_number: int = Field(default=SCHEMA, alias="schema")
    stage: str
    stage_version: int
    llmforge_version: str
    state: Literal["running", "preempted", "finished", "diverged"] = "finished"
    started: str
    finished: str | None
    settings: dict[str, Any]
    fingerprint: str
    identity: dict[str, Any]
    execution: dict[str, Any]
    inputs: dict[str, Any]
    outputs: list[Output]
    counts: dict[str, Any]
    results: dict[str, Any]
    seed: int
    environment: dict[str, Any]
    wall_s: float
    sessions: int
    peak_rss_bytes: int
    warnings: list[str]

    def find_damage(self, folder: Path, *, contents: bool = False) -> str | None:
        """The first output that is missing or changed, in words; None if all are there.

        Args:
            folder: the artifact's folder.
            contents: hash every file again; otherwise only the sizes are compared.
        """
        for output in self.outputs:
            path = folder / output.path
            if not path.is_file():
                return f"{path}: named in the manifest, but not there"
            if (size := path.stat().st_size) != output.size:
                return f"{path}: {size} bytes, but the manifest says {output.size}"
            if contents and hash_file(path) != output.sha256:
                return f"{path}: its content is not what the manifest says (SHA-256 differs)"
        return None

    @property
    def account(self) -> Counts:
        """The counts as an object."""
        return Counts.from_dict(self.counts)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of an artifact, whole or not at all."""
    write_json(folder / MANIFEST, manifest.model_dump(mode="json", by_alias=True))


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an artifact.

    Raises: InputError if it is missing, damaged, or of a schema that this version does not know.
    """
    path = folder / MANIFEST
    value = read_json(path)
    if value.get("schema") != SCHEMA:
        raise InputError(f"{path}: schema {value.get('schema')!r}, but this version of llmforge reads schema {SCHEMA}")
    try:
        return Manifest.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{path}: not a manifest ({error.error_count()} problems)", "rebuild the stage") from error
