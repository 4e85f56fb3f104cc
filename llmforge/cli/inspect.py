"""`llmforge inspect`."""

import typer

from llmforge.cli.options import Json, RunFolder
from llmforge.cli.output import print_json, print_lines


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect", epilog="Example: llmforge inspect runs/demo")(inspect)


def inspect(run: RunFolder, as_json: Json = False) -> None:
    """Show what a run did, from its manifests."""
    from llmforge.cli.overview import overview, read_run

    manifests = read_run(run)
    if as_json:
        print_json({name: manifest.model_dump(mode="json", by_alias=True) for name, manifest in manifests.items()})
    else:
        print_lines(overview(run, manifests))
