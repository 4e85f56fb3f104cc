"""`llmforge dedup`."""

from typing import Annotated

import typer

from llmforge.cli.options import Common, Workers, with_common

Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="JSONL or Parquet that never saw curate, instead of curate's output."),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dedup", epilog="Example: llmforge dedup --data ./documents.jsonl.gz")(dedup)


@with_common
def dedup(common: Common, data: Data = None, workers: Workers = None) -> None:
    """Remove exact and near-duplicates, each one proven."""
    from llmforge.cli.call import resolve
    from llmforge.cli.stages import stage_command

    flags = {"dedup.data": ("--data", data), "run.workers": ("--workers", workers)}
    call = resolve(common, flags)
    stage_command("dedup", call)
