"""`llmforge curate`."""

from typing import Annotated

import typer

from llmforge.cli.options import Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict, Workers

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


def curate(
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
    """Read, extract and judge documents; every drop has its reason."""
    from llmforge.cli.call import resolve
    from llmforge.cli.stages import stage_command

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
    stage_command("curate", call)
