"""`llmforge curate`."""

from typing import Annotated

import typer

from llmforge.cli.options import Common, Workers, with_common

Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="PATH_OR_HF_ID",
        help="A file, a folder or a Hugging Face data set, instead of curate.sources.",
    ),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("curate", epilog="Example: llmforge curate --data ./my_texts")(curate)


@with_common
def curate(common: Common, data: Data = None, workers: Workers = None) -> None:
    """Read, extract and judge documents; every drop has its reason."""
    from llmforge.cli.call import resolve
    from llmforge.cli.stages import stage_command

    flags = {"curate.sources": ("--data", data and ({"path": data},)), "run.workers": ("--workers", workers)}
    call = resolve(common, flags)
    stage_command("curate", call)
