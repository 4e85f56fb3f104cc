"""`llmforge parity`."""

from typing import Annotated

import typer

from llmforge.cli.options import Common, Config, Debug, Json, Quiet, Sets

Processes = Annotated[
    list[int] | None, typer.Option("--processes", help="Processes: 2, 4 or 8; may be repeated; all where not given.")
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("parity", epilog="Example: llmforge parity -c configs/demo.yaml --processes 2")(parity)


def parity(
    config: Config = None,
    sets: Sets = None,
    processes: Processes = None,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Prove that every parallel strategy computes what one process computes."""
    from llmforge.cli.call import resolve
    from llmforge.cli.comparison import compare_strategies

    call = resolve(Common(config, sets, as_json=as_json, quiet=quiet, debug=debug))
    compare_strategies(call, processes)
