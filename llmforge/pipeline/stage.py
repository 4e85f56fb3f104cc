"""What a stage promises: an ordered list of steps, each of them plan, map over shards, finish."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from llmforge.config.schema import Settings
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.inputs import Inputs


@dataclass(frozen=True)
class Shard:
    """One piece of a step's work, the same for any number of workers.

    `name` is what messages call it; `work` says what to do, in JSON values; `num_bytes` is the size of its
    input, for progress and for starting the largest first.
    """

    index: int
    name: str
    work: dict[str, Any]
    num_bytes: int = 0

    @property
    def stem(self) -> str:
        """The shard's file name without an ending: 00012."""
        return f"{self.index:05d}"


@dataclass(frozen=True)
class Plan:
    """The shards of a step, and what --dry-run says about them."""

    shards: tuple[Shard, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a step is given.

    Attributes:
        folder: the artifact under construction (`dedup.partial`).
        settings: the resolved settings of the whole run.
        inputs: what the stage reads.
        seed: derived from (run seed, stage, step, shard).
        outputs: files written through `output`, in order.
        warnings: what a `finish` found that a user should look at, one sentence each; beside those of `review`.
    """

    folder: Path
    settings: Settings
    inputs: Inputs
    seed: int = 0
    outputs: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def output(self, relative: str) -> Path:
        """A path of the artifact that this shard is about to write; its size and hash go into the record."""
        path = self.folder / relative
        self.outputs.append(path)
        return path

    def scratch(self, step: str) -> Path:
        """The folder of a step's intermediate files; it goes when the stage is complete."""
        return self.folder / "work" / step

    def for_shard(self, seed: int) -> "Context":
        """The same context with a seed of its own and empty lists of outputs and warnings."""
        return replace(self, seed=seed, outputs=[], warnings=[])


class Step(Protocol):
    """One pass of a stage over its shards."""

    name: str

    def plan(self, context: Context) -> Plan:
        """The shards of this step, from settings, inputs and what earlier steps left in `work/`; cheap, no torch."""

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Do one shard: pure, so that the same input and seed give the same bytes."""

    def finish(self, context: Context) -> dict[str, Any]:
        """Reduce the small per-shard records on disk, never the data; the result goes into the manifest."""


class Stage(Protocol):
    """An ordered list of steps that turns inputs into one artifact.

    `version` is raised when output bytes, or a default, change; `packages` are the libraries whose version
    changes output bytes; `section` is the stage's section of the settings.
    """

    name: str
    section: str
    version: int
    packages: tuple[str, ...]
    steps: tuple[Step, ...]

    def find_inputs(self, settings: Settings, run_folder: Path) -> Inputs:
        """What the stage reads: artifacts of earlier stages, or the user's files.

        Raises: InputError if something is missing.
        """

    def review(self, settings: Settings, counts: Counts) -> list[str]:
        """What a user should look at before trusting the result, one sentence each.

        Raises: InputError if the result must not be published (too many bad records, say).
        """
