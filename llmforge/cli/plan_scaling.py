"""`llmforge plan-scaling`."""

import typer

from llmforge.cli.options import Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan-scaling", epilog="Example: llmforge plan-scaling --set plan_scaling.budget_flops=1e18")(
        plan_scaling
    )


def plan_scaling(
    config: Config = None,
    sets: Sets = None,
    dry_run: DryRun = False,
    force: Force = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Plan a training from a budget, a size or the tokens at hand."""
    from llmforge.cli.call import resolve
    from llmforge.cli.planning import plan_command

    call = resolve(config, sets, quiet=quiet, debug=debug, dry_run=dry_run, force=force, strict=strict, as_json=as_json)
    plan_command(call)
