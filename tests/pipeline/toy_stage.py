"""A stage as small as can be: its steps count lines and copy those that are not too long."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.core.files import read_json, write_json
from llmforge.core.shards import shard_writer
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.inputs import InputFile, Inputs
from llmforge.pipeline.stage import Context, Plan, Shard
from llmforge.pipeline.warnings import check_bad_fraction, rule_warnings


def _plan(context: Context) -> Plan:
    return Plan(
        tuple(
            Shard(number, file.locator, {"path": str(file.path), "source": file.source}, file.num_bytes)
            for number, file in enumerate(context.inputs.files)
        )
    )


@dataclass(frozen=True)
class Measure:
    name: str = "measure"

    def plan(self, context: Context) -> Plan:
        return _plan(context)

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        _perhaps_die(shard)
        lines = Path(shard.work["path"]).read_bytes().splitlines()
        write_json(context.scratch("measure") / f"{shard.stem}.json", {"lines": len(lines)})
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        lines = [read_json(path)["lines"] for path in sorted(context.scratch("measure").glob("*.json"))]
        write_json(context.output("lines.json"), {"lines": lines})
        return {"lines": sum(lines)}


@dataclass(frozen=True)
class Copy:
    name: str = "copy"

    def plan(self, context: Context) -> Plan:
        return _plan(context)

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        _perhaps_die(shard)
        counts, source = Counts(), shard.work["source"]
        with shard_writer(context.output(f"data/{shard.stem}.jsonl.zst")) as out:
            for line in Path(shard.work["path"]).read_bytes().splitlines():
                if line.startswith(b"!"):
                    counts.quarantine(source, "bad_line", len(line))
                    continue
                counts.judge("too_long", source)
                if len(line) > context.settings.curate.max_record_bytes:
                    counts.drop(source, "too_long", len(line))
                else:
                    out.write({"text": line.decode(), "seed": context.seed})
                    counts.keep(source, len(line))
        return counts

    def finish(self, context: Context) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class ToyStage:
    name: str = "toy"
    section: str = "curate"
    version: int = 1
    packages: tuple[str, ...] = ("zstandard",)
    steps: tuple[Any, ...] = (Measure(), Copy())

    def find_inputs(self, settings: Settings, run_folder: Path) -> Inputs:
        folder = Path(settings.curate.sources[0].path)
        files = [InputFile(path, "toy", path.name, path.stat().st_size) for path in sorted(folder.iterdir())]
        if not files:
            raise InputError(f"{folder}: nothing to read")
        return Inputs(files=tuple(files))

    def review(self, settings: Settings, counts: Counts) -> list[str]:
        check_bad_fraction(counts, settings.curate.max_bad_fraction)
        return rule_warnings(counts, settings.curate.max_drop_share)


def _perhaps_die(shard: Shard) -> None:
    """Die as an out-of-memory kill would, if the test says so: always, or only the first time."""
    marker = os.environ.get("TOY_DIES_ON")
    if marker and shard.name == Path(marker).name:
        if os.environ.get("TOY_DIES") == "once":
            try:
                Path(marker).touch(exist_ok=False)
            except FileExistsError:
                return
        os.kill(os.getpid(), signal.SIGKILL)
