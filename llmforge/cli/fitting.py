"""`llmforge plan-scaling --fit`: a law from one's own runs, on stdout."""

from pathlib import Path

from llmforge.cli.call import Call
from llmforge.cli.output import print_json, print_lines
from llmforge.cli.planning import row_lines
from llmforge.plan_scaling.describe_fit import describe_fit
from llmforge.plan_scaling.fit import fit_law
from llmforge.plan_scaling.runs_table import read_runs


def fit_command(path: Path, call: Call) -> None:
    """Fit the runs of a CSV or of folders, and print the law with its intervals; nothing is written."""
    settings = call.settings
    fit = fit_law(read_runs(path), seed=settings.run.seed, budget_flops=settings.plan_scaling.budget_flops)
    if call.as_json:
        print_json({"runs": path.as_posix(), "fit": fit.to_dict()})
        return
    law = ", ".join(f"{name}: {value:.7g}" for name, value in fit.params.items())
    print_lines(
        [
            *row_lines(describe_fit(fit)),
            "",
            *(f"caution: {warning}" for warning in fit.warnings),
            f"beside the other laws of a plan: --set 'plan_scaling.own_law={{{law}}}'",
        ]
    )
