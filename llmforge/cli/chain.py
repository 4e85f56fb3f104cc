"""The stages in order, each brought up to date and reported before the next one starts."""

from typing import Any

from llmforge.cli import stages
from llmforge.cli.call import Call
from llmforge.cli.output import print_json
from llmforge.cli.training import bring_up_training, plan_of_training, report_training, training_to_dict
from llmforge.config.load import write_run_yaml
from llmforge.core.errors import InputError
from llmforge.pipeline.build import BuildOptions, plan_stage
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.runner import choose_stages


def chain(call: Call, first: str | None, last: str | None) -> None:
    """Run the stages from `first` to `last`, or say what each of them would do.

    Raises: whatever a stage raises; the stages before it stay as they are.
    """
    chosen = choose_stages(first, last)
    if call.dry_run:
        stages.show_plan({name: _plan(name, call) for name in chosen}, call.as_json)
        return
    with run_lock(call.settings.run_folder):
        write_run_yaml(call.settings)
        results = [_bring_up(name, call) for name in chosen]
    if call.as_json:
        print_json({"run": call.settings.run_folder.as_posix(), "stages": results})


def _bring_up(name: str, call: Call) -> dict[str, Any]:
    """Bring one stage up to date and report it."""
    if name == "train":
        status, manifest = bring_up_training(call, always=False)
        report_training(call, status, manifest)
        return training_to_dict(call, status, manifest)
    built = stages.build(name, call.settings, BuildOptions(call.force, strict=call.strict))
    stages.report(name, built)
    return stages.to_dict(name, built)


def _plan(name: str, call: Call) -> list[str]:
    """What a dry run can say of a stage now; a stage whose input is not made yet says so."""
    if name == "train":
        return plan_of_training(call)
    try:
        return plan_stage(stages.find_stage(name), call.settings, call.settings.run_folder)
    except InputError:
        if name == "curate":
            raise
        return ["reads what the stage before it will have made"]
