"""`llmforge plan-scaling`."""

from pathlib import Path
from typing import Annotated

import typer

from llmforge.cli.options import Common, Plots, Trace, with_common

Fit = Annotated[
    Path | None,
    typer.Option("--fit", metavar="RUNS_OR_CSV", help="Fit a law to runs, or to a CSV of params, tokens and loss."),
]
Check = Annotated[
    Path | None,
    typer.Option("--check", metavar="RUN", help="Compare a run's speed, memory and loss with what a plan says."),
]
Design = Annotated[
    float | None,
    typer.Option("--design", metavar="SHARE", min=1e-6, max=1, help="Small runs to fit, for this share of the plan."),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan-scaling", epilog="Example: llmforge plan-scaling --set plan_scaling.budget_flops=1e18")(
        plan_scaling
    )


@with_common
def plan_scaling(
    common: Common,
    fit: Fit = None,
    check: Check = None,
    design: Design = None,
    plots: Plots = None,
    trace: Trace = False,
) -> None:
    """Plan a training from a budget, a size or the tokens at hand."""
    from llmforge.cli.call import resolve
    from llmforge.cli.drawing import check_plots, check_trace
    from llmforge.core.errors import SettingsError

    call = resolve(common)
    others = {"--fit": fit is not None, "--check": check is not None, "--design": design is not None}
    chosen = [name for name, given in others.items() if given]
    if len(chosen) > 1:
        raise SettingsError(f"{' and '.join(chosen)}: each is a question of its own", "give one of them")
    check_plots(plots, {name: given for name, given in others.items() if name != "--fit"})
    check_trace(trace, others)
    if fit is not None:
        from llmforge.cli.fitting import fit_command

        fit_command(fit, call, plots)
    elif check is not None:
        from llmforge.cli.checking import check_command

        check_command(check, call)
    elif design is not None:
        from llmforge.cli.designing import design_command

        design_command(design, call)
    else:
        from llmforge.cli.planning import plan_command

        plan_command(call, plots, trace=trace)
