"""`llmforge train`."""

from typing import Annotated, Any

import typer

from llmforge.cli.options import Call, Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict, resolve
from llmforge.cli.output import print_json
from llmforge.cli.stages import show_plan
from llmforge.cli.summary import summarize_training
from llmforge.config.load import write_run_yaml
from llmforge.core import log
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.manifest import Manifest, read_manifest

Strategy = Annotated[str | None, typer.Option("--strategy", help="How a step is spread over processes: single, ddp.")]
Nproc = Annotated[int | None, typer.Option("--nproc", min=1, help="Processes on this machine.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog="Example: llmforge train -c configs/demo.yaml --strategy ddp --nproc 2")(train)


def train(
    config: Config = None,
    sets: Sets = None,
    strategy: Strategy = None,
    nproc: Nproc = None,
    dry_run: DryRun = False,
    force: Force = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train the model on the token store; the same command again goes on where the last one stopped."""
    flags = {"train.strategy": ("--strategy", strategy), "train.nproc": ("--nproc", nproc)}
    call = resolve(
        config,
        sets,
        flags=flags,
        quiet=quiet,
        debug=debug,
        dry_run=dry_run,
        force=force,
        strict=strict,
        as_json=as_json,
    )
    if dry_run:
        from llmforge.train.plan import plan_training

        show_plan({"train": plan_training(call.settings)}, as_json)
        return
    from llmforge.launch.world import launched_rank

    rank = launched_rank()
    if rank is not None:
        train_as_rank(call)
        return
    with run_lock(call.settings.run_folder):
        write_run_yaml(call.settings)
        status, manifest = bring_up_training(call)
    report_training(call, status, manifest)
    if as_json:
        print_json(training_to_dict(call, status, manifest))


def bring_up_training(call: Call) -> tuple[str, Manifest]:
    """Train until done, in this process or in launched ones; the caller holds the run's lock.

    Returns: how it came about ("built", "resumed", "up to date"), and the manifest.
    """
    raise AssertionError


def train_as_rank(call: Call) -> None:
    """Be one rank of a training that a launcher started."""
    raise AssertionError


def report_training(call: Call, status: str, manifest: Manifest) -> None:
    """Say what the training did, with its warnings."""
    for warning in manifest.warnings:
        log.warn(f"train: {warning}")
    log.say(summarize_training(status, manifest, call.settings.run_folder / "train"))
    log.say(f'next          llmforge generate {call.settings.run_folder} --prompt "..."')


def training_to_dict(call: Call, status: str, manifest: Manifest) -> dict[str, Any]:
    """A training's result for --json."""
    return {
        "stage": "train",
        "status": status,
        "folder": (call.settings.run_folder / "train").as_posix(),
        "fingerprint": manifest.fingerprint,
        "results": manifest.results,
        "warnings": manifest.warnings,
        "wall_s": manifest.wall_s,
    }


_ = read_manifest
