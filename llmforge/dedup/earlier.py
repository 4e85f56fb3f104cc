"""Earlier artifacts of dedup that a new batch is compared with: their index, never their text.

    index/00012.texts, .urls, .bands          the records of kept documents of shard 12, as step 1 wrote them
    index/00012.ids, .places, .shingles, .bounds    ids and shingles of the shard's documents by row

Documents of earlier artifacts come before all others in the order of who stays, and are never removed.
"""

import shutil
from pathlib import Path

import numpy as np

from llmforge.config.dedup import DedupSection
from llmforge.core.errors import InputError
from llmforge.core.files import atomic_writer
from llmforge.dedup.tables import EARLIER, RECORD, Rows, locate, read_table, shards_and_rows, write_table
from llmforge.pipeline.inputs import Artifact, open_artifact
from llmforge.pipeline.stage import Context, Shard

RECORDS = ("texts", "urls", "bands")
_BY_ROW = ("ids", "places", "shingles", "bounds")


def open_earlier(settings: DedupSection) -> tuple[tuple[str, Artifact], ...]:
    """The artifacts of `dedup.against`.

    Raises: InputError if one is not finished, kept no index, or was made with other settings.
    """
    found = []
    for number, folder in enumerate(settings.against):
        artifact = open_artifact(Path(folder).parent, Path(folder).name)
        if not artifact.files("index/"):
            raise InputError(f"{folder}: keeps no index", "make it with --set dedup.keep_index=true")
        old = DedupSection.model_validate(artifact.manifest.settings, strict=False)
        for name in ("exact", "url", "minhash"):
            if getattr(old, name) != getattr(settings, name):
                raise InputError(
                    f"{folder}: made with dedup.{name} {getattr(old, name)!r}, here it is {getattr(settings, name)!r}",
                    "signatures of other settings cannot be compared: use the same, or make it again",
                )
        found.append((f"against {number}", artifact))
    return tuple(found)


def earlier_shards(context: Context, first: int) -> tuple[Shard, ...]:
    """The shards of earlier artifacts, numbered from `first` on."""
    stems = [
        (folder, path.stem)
        for number, folder in enumerate(context.settings.dedup.against)
        for artifact in [context.inputs.artifact(f"against {number}")]
        if artifact is not None
        for path in artifact.files("index/")
        if path.suffix == ".ids"
    ]
    return tuple(
        Shard(first + number, f"{folder} {stem}", {"earlier": folder, "stem": stem})
        for number, (folder, stem) in enumerate(stems)
    )


def take_earlier(shard: Shard, context: Context) -> None:
    """Put the index of an earlier shard where step 1 would have written it."""
    folder, stem = Path(shard.work["earlier"], "index"), shard.work["stem"]
    for kind in RECORDS:
        if (folder / f"{stem}.{kind}").exists():
            rows = read_table(folder / f"{stem}.{kind}", RECORD)
            rows["location"] = locate(shard.index, rows["location"])
            rows["order"] = EARLIER
            write_table(context.output(f"work/sign/{shard.stem}-00000.{kind}"), rows)
    for kind in _BY_ROW:
        _copy(folder / f"{stem}.{kind}", context.output(f"work/sign/{shard.stem}.{kind}"))


def write_index(shard: Shard, context: Context, removed: Rows) -> None:
    """Keep the records of a shard's documents but for those at the locations that were removed."""
    folder = context.scratch("sign")
    for kind in RECORDS:
        parts = [read_table(path, RECORD) for path in sorted(folder.glob(f"{shard.stem}-*.{kind}"))]
        rows = np.concatenate([np.empty(0, dtype=RECORD), *parts])
        rows = rows[~np.isin(rows["location"], removed)]
        rows["location"] = shards_and_rows(rows["location"])[1]
        write_table(context.output(f"index/{shard.stem}.{kind}"), rows[np.argsort(rows["key"], kind="stable")])
    for kind in _BY_ROW:
        _copy(folder / f"{shard.stem}.{kind}", context.output(f"index/{shard.stem}.{kind}"))


def _copy(source: Path, target: Path) -> None:
    with open(source, "rb") as file, atomic_writer(target) as copy:
        shutil.copyfileobj(file, copy)
