"""Per-shard records: what a shard counted and wrote. They decide what a resumed stage still has to do.

Records of a stage's last step stay in the artifact under `records/`; those of earlier steps live with the
intermediates in `work/<step>/records/`. A record holds no time, so that equal work gives equal bytes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from llmforge.core.files import read_json, write_json
from llmforge.core.hardware import peak_rss_bytes
from llmforge.core.hashing import derive_seed, hash_file
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.manifest import Output
from llmforge.pipeline.stage import Context, Shard, Stage, Step


def record_folder(folder: Path, stage: Stage, step: Step) -> Path:
    """Where the records of a step are."""
    last = step.name == stage.steps[-1].name
    return folder / "records" if last else folder / "work" / step.name / "records"


def finished_shards(folder: Path) -> set[int]:
    """Indices of the shards that have a record."""
    return {int(path.stem) for path in folder.glob("*.json")}


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Records in shard order."""
    for path in sorted(folder.glob("*.json")):
        yield read_json(path)


def sum_counts(records: Iterable[dict[str, Any]]) -> Counts:
    """The account of a step, summed over its records on disk."""
    total = Counts()
    for record in records:
        total.add(Counts.from_dict(record["counts"]))
    return total


class ShardWork:
    """One step's work on one shard, with its record written last: what an executor runs."""

    def __init__(self, stage: Stage, step: Step, context: Context) -> None:
        self._step = step
        self._context = context
        self._stage_name = stage.name
        self._records = record_folder(context.folder, stage, step)

    def __call__(self, shard: Shard) -> None:
        """Run the shard, check its account, and write its record after its outputs."""
        seed = derive_seed(self._context.settings.run.seed, self._stage_name, self._step.name, shard.index)
        context = self._context.for_shard(seed)
        counts = self._step.run_shard(shard, context)
        counts.check()
        record = {
            "shard": shard.index,
            "name": shard.name,
            "counts": counts.to_dict(),
            "outputs": [describe(context.folder, path).model_dump() for path in context.outputs],
        }
        write_json(self._records / f"{shard.stem}.json", record)
        note_peak(context.folder)


def describe(folder: Path, path: Path) -> Output:
    """An output's path within the artifact, size and hash."""
    return Output(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=hash_file(path))


def note_peak(folder: Path) -> None:
    """Keep the largest peak memory of any process that worked on this artifact, in the name of an empty file."""
    notes = folder / "work" / "peaks"
    notes.mkdir(parents=True, exist_ok=True)
    (notes / str(peak_rss_bytes())).touch()


def largest_peak(folder: Path) -> int:
    """The largest peak memory noted so far (bytes)."""
    notes = folder / "work" / "peaks"
    return max((int(path.name) for path in notes.glob("*")), default=0)
