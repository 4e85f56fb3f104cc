"""`llmforge dedup`."""

from typing import Annotated

import typer

from llmforge.cli.options import Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict, Workers

Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="JSONL or Parquet that never saw curate, instead of curate's output."),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dedup", epilog="Example: llmforge dedup --data ./documents.jsonl.gz")(dedup)


def dedup(
    config: Config = None,
    sets: Sets = None,
    data: Data = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    force: Force = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Remove exact and near-duplicates, each one proven."""
    from llmforge.cli.call import resolve
    from llmforge.cli.stages import stage_command

    flags = {"dedup.data": ("--data", data), "run.workers": ("--workers", workers)}
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
    stage_command("dedup", call)
