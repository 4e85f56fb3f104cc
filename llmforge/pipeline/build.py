"""Building one stage: up to date, resumed, refused or rebuilt, and never half done under its final name."""

import os
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from llmforge import __version__
from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import check_writable
from llmforge.core.hardware import memory_bytes, num_cores, peak_rss_bytes, processor_name
from llmforge.core.hashing import HashCache, hash_value
from llmforge.core.progress import progress
from llmforge.pipeline.executor import WorkerPool, choose_workers, run_shards
from llmforge.pipeline.fingerprint import differences, package_versions, stage_identity
from llmforge.pipeline.folder import StageFolder
from llmforge.pipeline.manifest import Manifest, Output
from llmforge.pipeline.records import (
    ShardWork,
    describe,
    finished_shards,
    largest_peak,
    read_records,
    record_folder,
    sum_counts,
)
from llmforge.pipeline.stage import Context, Stage, Step

HASHES = ".hashes.json"


@dataclass(frozen=True)
class BuildOptions:
    """How to build; none of it changes a byte of the result.

    `force` replaces an artifact of another identity or a damaged one; `always` rebuilds a complete one as well;
    `strict` turns warnings into an error.
    """

    force: bool = False
    always: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Built:
    """A stage's artifact and how it came about."""

    status: Literal["built", "resumed", "rebuilt", "up to date"]
    folder: Path
    manifest: Manifest


def build_stage(stage: Stage, settings: Settings, run_folder: Path, options: BuildOptions) -> Built:
    """Bring a stage's artifact to the state that the settings and inputs ask for.

    The caller holds the run's lock.

    Raises: InputError (exit 3) if an artifact of another identity stands there and `force` is off, if an input
        is missing, or if too many records are bad; MachineError if the folder cannot be written.
    """
    check_writable(run_folder)
    folder = StageFolder(run_folder, stage.name)
    folder.recover()
    cache = HashCache(run_folder / HASHES)
    inputs = stage.find_inputs(settings, run_folder)
    identity = stage_identity(stage, settings, inputs, cache)
    cache.save()

    finished = folder.finished()
    if finished is not None and not options.always and _is_current(stage, folder, finished, identity, options):
        return Built("up to date", folder.final, finished)
    sessions = _begin(stage, folder, identity, options)

    context = Context(folder.partial, settings, inputs)
    manifest = _run(stage, context, identity, sessions, options)
    folder.publish(manifest)
    status: Literal["built", "resumed", "rebuilt"] = (
        "rebuilt" if finished is not None else "resumed" if sessions > 1 else "built"
    )
    return Built(status, folder.final, manifest)


def _is_current(
    stage: Stage, folder: StageFolder, finished: Manifest, identity: dict[str, Any], options: BuildOptions
) -> bool:
    """Whether the finished artifact is what is asked for; an error if it is not and may not be replaced."""
    if finished.fingerprint == hash_value(identity):
        damage = finished.find_damage(folder.final)
        if damage is not None and not options.force:
            raise InputError(damage, f"rebuild it: llmforge {stage.name} --force")
        return damage is None
    if not options.force:
        raise _changed(stage, folder.final, finished.identity, identity)
    return False


def _begin(stage: Stage, folder: StageFolder, identity: dict[str, Any], options: BuildOptions) -> int:
    """Go on with an interrupted construction of the same identity, or start a new one."""
    begun = folder.begun()
    if begun is None or begun["identity"] != identity:
        if begun is not None and not options.force:
            raise _changed(stage, folder.partial, begun["identity"], identity)
        folder.discard_partial()
    return folder.begin(identity)


def _changed(stage: Stage, folder: Path, old: dict[str, Any], new: dict[str, Any]) -> InputError:
    lines = differences(old, new, stage.section)
    shown = "".join(f"\n  {line}" for line in lines[:10])
    more = f"\n  and {len(lines) - 10} more" if len(lines) > 10 else ""
    return InputError(
        f"{folder}: made with other settings, inputs or packages:{shown}{more}",
        "--force rebuilds it (and what follows it), or give this run another name: --set run.name=...",
    )


def _run(stage: Stage, context: Context, identity: dict[str, Any], sessions: int, options: BuildOptions) -> Manifest:
    """Run the steps that are not done yet, and put the manifest together from what is on disk."""
    started, start_s = _now(), time.monotonic()
    results: dict[str, Any] = {}
    with WorkerPool(choose_workers(context.settings.run.workers)) as pool:
        for step in stage.steps:
            _run_step(stage, step, context, pool)
            results.update(step.finish(context))
    counts = sum_counts(read_records(record_folder(context.folder, stage, stage.steps[-1])))
    counts.check()
    warnings = [*context.warnings, *stage.review(context.settings, counts)]
    if warnings and options.strict:
        raise InputError("\n  ".join(["--strict: the stage has warnings:", *warnings]))
    return Manifest(
        stage=stage.name,
        stage_version=stage.version,
        llmforge_version=__version__,
        started=started,
        finished=_now(),
        settings=getattr(context.settings, stage.section).model_dump(mode="json"),
        fingerprint=hash_value(identity),
        identity=identity,
        execution={"workers": context.settings.run.workers, "executor": "local"},
        inputs={"num_files": len(context.inputs.files), "num_bytes": context.inputs.num_bytes},
        outputs=_outputs(stage, context),
        counts=counts.to_dict(),
        results=results,
        seed=context.settings.run.seed,
        environment=describe_environment(stage.packages),
        wall_s=round(time.monotonic() - start_s, 3),
        sessions=sessions,
        peak_rss_bytes=max(peak_rss_bytes(), largest_peak(context.folder)),
        warnings=warnings,
    )


def _outputs(stage: Stage, context: Context) -> list[Output]:
    """What shards and reductions wrote, in the order of the paths."""
    by_path = {}
    for step in stage.steps:
        for record in read_records(record_folder(context.folder, stage, step)):
            by_path.update({output["path"]: Output(**output) for output in record["outputs"]})
    for path in context.outputs:
        output = describe(context.folder, path)
        by_path[output.path] = output
    return [by_path[path] for path in sorted(by_path) if not path.startswith("work/")]


def _run_step(stage: Stage, step: Step, context: Context, pool: WorkerPool) -> None:
    plan = step.plan(context)
    done = finished_shards(record_folder(context.folder, stage, step))
    todo = [shard for shard in plan.shards if shard.index not in done]
    if not todo:
        return
    if done:
        log.say(f"{stage.name} {step.name}: resuming, {len(done)} of {len(plan.shards)} shards are done")
    workers = min(choose_workers(context.settings.run.workers), len(todo))
    bytes_done, start_s = 0, time.monotonic()
    with progress(f"{stage.name} {step.name}", sum(shard.num_bytes for shard in todo) / 1e6) as shown:
        for shard in run_shards(ShardWork(stage, step, context), todo, workers, pool):
            bytes_done += shard.num_bytes
            rate = bytes_done / 1e6 / max(time.monotonic() - start_s, 1e-9)
            shown.update(bytes_done / 1e6, f"MB, {rate:.1f} MB/s")


def plan_stage(stage: Stage, settings: Settings, run_folder: Path) -> list[str]:
    """What --dry-run says: what the stage would read and do; nothing is written.

    Raises: InputError if an input is missing; SettingsError if the settings do not fit together.
    """
    inputs = stage.find_inputs(settings, run_folder)
    if not inputs.files and not inputs.artifacts and not inputs.sections:
        raise SettingsError(f"{stage.name}: nothing to read")
    lines = [
        f"reads  {len(inputs.files)} files and {len(inputs.artifacts)} artifacts, {inputs.num_bytes / 1e6:,.1f} MB"
    ]
    context = Context(run_folder / f"{stage.name}.partial", settings, inputs)
    plan = stage.steps[0].plan(context)
    lines.append(f"steps  {', '.join(step.name for step in stage.steps)}; {len(plan.shards)} shards in the first")
    return lines + list(plan.notes)


def describe_environment(packages: tuple[str, ...]) -> dict[str, Any]:
    """What the work ran on: versions and machine, without names of people or hosts."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cores": num_cores(),
        "memory_bytes": memory_bytes(),
        "packages": package_versions(packages),
        "command_line_threads": os.environ.get("OMP_NUM_THREADS"),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
