"""`llmforge plan-scaling --fit`: a law from one's own runs, on stdout."""

from dataclasses import asdict
from pathlib import Path

from llmforge.cli.call import Call
from llmforge.cli.drawing import say_plots
from llmforge.cli.output import print_json, print_lines
from llmforge.cli.planning import row_lines
from llmforge.plan_scaling.describe_fit import describe_fit, describe_half_lives
from llmforge.plan_scaling.fit import Fit, fit_law
from llmforge.plan_scaling.fit_repeated import HalfLives, fit_half_lives
from llmforge.plan_scaling.runs_table import fresh_runs, read_runs


def fit_command(path: Path, call: Call, plots: Path | None) -> None:
    """Fit the runs of a CSV or of folders, print the law with its intervals, and draw it where asked.

    Runs that repeat their data are left out of the law, and give the half-lives of repetition on top of it.
    """
    settings = call.settings
    runs = read_runs(path)
    fresh = fresh_runs(runs)
    fit = fit_law(fresh, seed=settings.run.seed, budget_flops=settings.plan_scaling.budget_flops)
    repeated = fit_half_lives(runs, seed=settings.run.seed, law=fit.law) if len(fresh) < len(runs) else None
    if plots is not None:
        from llmforge.report.fit_plots import plot_fit

        say_plots(plot_fit(fit, fresh, plots))
    if call.as_json:
        shown = {"repetition": asdict(repeated)} if repeated else {}
        print_json({"runs": path.as_posix(), "fit": fit.to_dict(), **shown})
    else:
        print_lines(_lines(fit, repeated))


def _lines(fit: Fit, repeated: HalfLives | None) -> list[str]:
    law = ", ".join(f"{name}: {value:.7g}" for name, value in fit.params.items())
    cautions = [*fit.warnings, *(repeated.warnings if repeated else ())]
    return [
        *row_lines([*describe_fit(fit), *(describe_half_lives(repeated) if repeated else ())]),
        "",
        *(f"caution: {caution}" for caution in cautions),
        f"beside the other laws of a plan: --set 'plan_scaling.own_law={{{law}}}'",
    ]
