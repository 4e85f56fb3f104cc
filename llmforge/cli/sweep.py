"""`llmforge sweep`."""

from typing import Annotated

import typer

from llmforge.cli.options import Config, Debug, DryRun, Force, Json, Plots, Quiet, Sets

Grid = Annotated[
    list[str], typer.Option("--grid", metavar="A.B=X,Y,Z", help="Values of one setting; repeat for a grid.")
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sweep", epilog="Example: llmforge sweep --grid model.layers=2,4 --grid train.tokens=1e6,4e6")(sweep)


def sweep(
    grid: Grid,
    config: Config = None,
    sets: Sets = None,
    plots: Plots = None,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train every point of a grid on a run's tokens; the same command again goes on."""
    from llmforge.cli.drawing import check_plots
    from llmforge.cli.sweeping import show_points, sweep_command
    from llmforge.core import log
    from llmforge.launch.sweep import plan_points

    log.set_up(quiet=quiet, debug=debug)
    check_plots(plots, {"--dry-run": dry_run})
    points = plan_points(config, sets or [], grid)
    if dry_run:
        show_points(points, as_json)
    else:
        sweep_command(points, plots, force=force, as_json=as_json)
