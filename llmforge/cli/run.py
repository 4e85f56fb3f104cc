"""`llmforge run`."""

from typing import Annotated

import typer

from llmforge.cli.curate import Data
from llmforge.cli.options import Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict, Workers

First = Annotated[str | None, typer.Option("--from", metavar="STAGE", help="The first stage to run.")]
Last = Annotated[str | None, typer.Option("--to", metavar="STAGE", help="The last stage to run.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Example: llmforge run -c configs/demo.yaml")(run)


def run(
    config: Config = None,
    sets: Sets = None,
    data: Data = None,
    first: First = None,
    last: Last = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    force: Force = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the whole chain, from raw text to a trained model."""
    from llmforge.cli.call import resolve
    from llmforge.cli.chain import chain

    flags = {"curate.sources": ("--data", data and ({"path": data},)), "run.workers": ("--workers", workers)}
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
    chain(call, first, last)
