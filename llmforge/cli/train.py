"""`llmforge train`."""

from typing import Annotated

import typer

from llmforge.cli.options import Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict

Strategy = Annotated[
    str | None, typer.Option("--strategy", help="How a step is spread: auto, single, ddp, fsdp, zero1, 3d, ...")
]
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
    """Train the model; the same command again goes on."""
    from llmforge.cli.call import resolve
    from llmforge.cli.training import train_command

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
    train_command(call)
