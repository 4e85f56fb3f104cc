"""`llmforge train`."""

from typing import Annotated

import typer

from llmforge.cli.options import Common, with_common

Strategy = Annotated[
    str | None, typer.Option("--strategy", help="How a step is spread: auto, single, ddp, fsdp, zero1, 3d, ...")
]
Nproc = Annotated[int | None, typer.Option("--nproc", min=1, help="Processes on this machine.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", epilog="Example: llmforge train -c configs/demo.yaml --strategy ddp --nproc 2")(train)


@with_common
def train(
    common: Common,
    strategy: Strategy = None,
    nproc: Nproc = None,
) -> None:
    """Train the model; the same command again goes on."""
    from llmforge.cli.call import resolve
    from llmforge.cli.training import train_command

    flags = {"train.strategy": ("--strategy", strategy), "train.nproc": ("--nproc", nproc)}
    call = resolve(common, flags)
    train_command(call)
