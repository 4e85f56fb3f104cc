"""Planning from the command line: the plan on stdout, whether it is written down or only asked for."""

import textwrap
from pathlib import Path
from typing import Any

from llmforge.arch.presets import resolve_architecture
from llmforge.cli.call import Call
from llmforge.cli.drawing import say_plots
from llmforge.cli.output import print_json, print_lines, table
from llmforge.config.load import write_run_yaml
from llmforge.config.model import ModelSection
from llmforge.config.schema import Settings
from llmforge.plan_scaling.describe import describe_plan, laws_table, left_out_lines, memory_table
from llmforge.plan_scaling.placement import precision_of
from llmforge.plan_scaling.plan import Plan
from llmforge.plan_scaling.rows import Row
from llmforge.plan_scaling.stage import PLAN_SCALING, plan_for

_NAME = "plan-scaling"
_REASON_WIDTH = 64


def plan_command(call: Call, plots: Path | None, *, trace: bool) -> None:
    """`llmforge plan-scaling`: make the plan, write it unless it is a dry run, print it; draw and trace where asked."""
    settings = call.settings
    plan = plan_for(settings, PLAN_SCALING.find_inputs(settings, settings.run_folder))
    if plots is not None:
        from llmforge.report.plan_plots import plot_plan

        say_plots(plot_plan(plan.to_dict(), plots))
    line, traced = _trace(plan, settings) if trace else ("", {})
    if call.dry_run:
        _show(plan, traced, line, call.as_json)
        return
    # A what-if answers in under half a second; what writes artifacts is imported when one is written.
    from llmforge.cli import stages
    from llmforge.pipeline.build import BuildOptions
    from llmforge.pipeline.lock import run_lock

    with run_lock(settings.run_folder):
        write_run_yaml(settings)
        built = stages.build(_NAME, settings, BuildOptions(call.force, always=call.force, strict=call.strict))
    _show(plan, {**stages.to_dict(_NAME, built), **traced}, line, call.as_json)
    stages.report(_NAME, built)
    if not call.as_json:
        stages.say_next(_NAME, settings)


def _trace(plan: Plan, settings: Settings) -> tuple[str, dict[str, Any]]:
    """The recommended run's memory in one process, traced."""
    from llmforge.cli.tracing import trace

    model = ModelSection.model_validate(plan.recommended.model)
    arch = resolve_architecture(model, plan.assumptions["vocab_size"])
    return trace(arch, plan.recommended.micro_batch_sequences, precision_of(settings.plan_scaling))


def _show(plan: Plan, more: dict[str, Any], traced: str, as_json: bool) -> None:
    if as_json:
        print_json({**more, **plan.to_dict()})
    else:
        print_lines([*plan_lines(plan), *(["", traced] if traced else [])])


def plan_lines(plan: Plan) -> list[str]:
    """A plan as text: the run with its reasons, the laws side by side, memory by strategy, what to think about."""
    return [
        *row_lines(describe_plan(plan)),
        "",
        *table(_text_last(laws_table(plan))),
        "",
        *table(_text_last(memory_table(plan))),
        *left_out_lines(plan),
        *(["", *(f"caution: {caution}" for caution in plan.cautions)] if plan.cautions else []),
    ]


def row_lines(rows: list[Row]) -> list[str]:
    """Rows as aligned lines: what, how much, and why."""
    cells = []
    for row in rows:
        reasons = textwrap.wrap(row.reason, _REASON_WIDTH) or [""]
        cells.append([row.name, f"{row.value} {row.unit}".strip(), reasons[0]])
        cells += [["", "", reason] for reason in reasons[1:]]
    return table(cells, right=False)


def _text_last(rows: list[list[str]]) -> list[list[str]]:
    """A table of numbers whose last column is text: padded, so that it stands left."""
    width = max(len(row[-1]) for row in rows)
    return [[*row[:-1], row[-1].ljust(width)] for row in rows]
