"""Runs of the curate stage over files given in the test."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.config.schema import Settings
from llmforge.core.shards import read_objects
from llmforge.curate.stage import CURATE
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.pipeline.manifest import Manifest

PROSE = (
    "The committee met in the morning and agreed that the bridge should be built of stone, with three arches and a "
    "walk for people on foot. It was to be paid for by those who have fields on the other side of the river, and the "
    "work was to begin in spring. Nobody asked what would be done in the case of a flood."
)
"""A text of 60 words that Gopher's rules keep."""


@dataclass(frozen=True)
class Result:
    """What a run of the stage left behind."""

    folder: Path
    manifest: Manifest
    kept: list[dict[str, Any]]
    dropped: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]

    @property
    def texts(self) -> list[str]:
        return [row["text"] for row in self.kept]

    @property
    def rules(self) -> Counter[str]:
        return Counter(row["rule"] for row in self.dropped)

    @property
    def errors(self) -> Counter[str]:
        return Counter(row["error"] for row in self.quarantined)


def run_curate(run: Path, sources: Sequence[dict[str, Any]], *, workers: int = 1, **curate: Any) -> Result:
    """Run the stage into `run`; rules are off and every bad record is allowed unless the test says otherwise."""
    section = {"filters": (), "max_bad_fraction": 1.0, **curate, "sources": tuple(sources)}
    settings = Settings.model_validate({"run": {"workers": workers}, "curate": section})
    built = build_stage(CURATE, settings, run, BuildOptions())
    return read_result(built.folder, built.manifest)


def read_result(folder: Path, manifest: Manifest) -> Result:
    """Read an artifact of the stage whole."""
    kept, dropped, quarantined = (
        [row for file in sorted((folder / name).glob("*")) for row in read_objects(file)]
        for name in ("data", "dropped", "quarantine")
    )
    return Result(folder, manifest, kept, dropped, quarantined)
