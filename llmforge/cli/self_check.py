"""The report of `llmforge dedup --self-check`."""

from dataclasses import asdict

from llmforge.cli.call import Call
from llmforge.cli.output import print_json, print_lines
from llmforge.cli.stages import find_stage


def show_self_check(call: Call) -> None:
    """Plant edited copies in a sample of dedup's input, and print what it finds of them."""
    from llmforge.dedup.self_check import self_check
    from llmforge.pipeline.stage import Context

    settings, stage = call.settings, find_stage("dedup")
    inputs = stage.find_inputs(settings, settings.run_folder)
    found = self_check(stage, Context(settings.run_folder, settings, inputs))
    if call.as_json:
        print_json({**asdict(found), "precision": found.precision, "recall": found.recall})
        return
    rows = [
        f"{level.similarity:>10} {level.planted:>8,} {level.duplicates:>11,} {level.found:>6,} {level.expected:>9.1f}"
        for level in found.levels
    ]
    print_lines(
        [
            f"{'similarity':>10} {'planted':>8} {'duplicates':>11} {'found':>6} {'by curve':>9}",
            *rows,
            f"precision {found.precision:.4f} ({found.wrong:,} removals of others), recall {found.recall:.4f}",
        ]
    )
