"""`llmforge plan-scaling --design`: the small runs that tell most about a law, on stdout."""

import math

from llmforge.cli.call import Call
from llmforge.cli.output import count, print_json, print_lines, table
from llmforge.plan_scaling.answers import own_law
from llmforge.plan_scaling.design import Design, SmallRun, design_runs
from llmforge.plan_scaling.laws import REPLICATION
from llmforge.plan_scaling.stage import PLAN_SCALING, plan_for

_NAMING = ("model.layers", "model.dim", "train.tokens")


def design_command(share: float, call: Call) -> None:
    """Propose small runs for a share of the plan's compute, with the commands that train them; nothing is written."""
    settings = call.settings
    plan = plan_for(settings, PLAN_SCALING.find_inputs(settings, settings.run_folder))
    design = design_runs(
        settings.model,
        plan.assumptions["vocab_size"],
        plan.recommended.flops,
        share,
        own_law(settings.plan_scaling) or REPLICATION,
        plan.assumptions["tokens_at_hand"] or math.inf,
    )
    if call.as_json:
        runs = [{"params": run.shape.params, "flops": run.flops, "settings": run.settings} for run in design.runs]
        shown = {"target_flops": design.target_flops, "flops": design.flops, "runs": runs}
        print_json({"design": {**shown, "tokens_per_param": design.tokens_per_param}})
    else:
        print_lines(_lines(design))


def _lines(design: Design) -> list[str]:
    low, high = design.tokens_per_param
    header = ["layers", "width", "heads", "parameters", "tokens", "each", "FLOPs"]
    return [
        *table([header, *map(_cells, design.runs)]),
        "",
        f"{len(design.runs)} runs, {design.flops:.3g} FLOPs: {design.flops / design.target_flops:.1%} of the plan's",
        f"tokens per parameter at {design.target_flops:.3g} FLOPs would be known as {low:.1f} to {high:.1f} "
        "(10th to 90th percentile), if the law's form holds and losses scatter by 0.5 %",
        "",
        *(_command(run) for run in design.runs),
    ]


def _cells(run: SmallRun) -> list[str]:
    arch = run.shape.arch
    sizes = (str(arch.layers), count(arch.dim), count(arch.heads), count(run.shape.params), count(run.tokens))
    return [*sizes, f"{run.tokens / run.shape.params:,.0f}", f"{run.flops:.2g}"]


def _command(run: SmallRun) -> str:
    """The sweep of one point; what names it is its grid, and batch and rate follow."""
    words = (f"{'--grid' if name in _NAMING else '--set'} {name}={value}" for name, value in run.settings.items())
    return " ".join(["llmforge sweep", *words])
