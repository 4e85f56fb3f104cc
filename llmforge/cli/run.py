"""`llmforge run`."""

from typing import Annotated

import typer

from llmforge.cli.curate import Data
from llmforge.cli.options import Common, Workers, with_common

First = Annotated[str | None, typer.Option("--from", metavar="STAGE", help="The first stage to run.")]
Last = Annotated[str | None, typer.Option("--to", metavar="STAGE", help="The last stage to run.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Example: llmforge run -c configs/demo.yaml")(run)


@with_common
def run(
    common: Common,
    data: Data = None,
    first: First = None,
    last: Last = None,
    workers: Workers = None,
) -> None:
    """Run the whole chain, from raw text to a trained model."""
    from llmforge.cli.call import resolve
    from llmforge.cli.chain import chain

    flags = {"curate.sources": ("--data", data and ({"path": data},)), "run.workers": ("--workers", workers)}
    call = resolve(common, flags)
    chain(call, first, last)
