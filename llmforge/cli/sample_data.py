"""`llmforge sample-data`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from llmforge.cli.options import Json, Quiet
from llmforge.cli.output import print_json
from llmforge.core import log

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sample-data", epilog="Example: llmforge sample-data sample-data")(sample_data)


def sample_data(folder: Folder, as_json: Json = False, quiet: Quiet = False) -> None:
    """Make real corpora out of this Python, no download."""
    from llmforge.sample_data.make import make_sample_data

    log.set_up(quiet=quiet)
    made = make_sample_data(folder)
    if as_json:
        print_json({name: asdict(corpus) for name, corpus in made.items()})
