"""`llmforge run`."""

from typing import Annotated, Any

import typer

from llmforge.cli import stages
from llmforge.cli.curate import Data
from llmforge.cli.options import Call, Config, Debug, DryRun, Force, Json, Quiet, Sets, Strict, Workers, resolve
from llmforge.cli.output import print_json
from llmforge.cli.train import bring_up_training, report_training, training_to_dict
from llmforge.config.load import write_run_yaml
from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.pipeline.build import BuildOptions, plan_stage
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.runner import choose_stages

First = Annotated[str | None, typer.Option("--from", metavar="STAGE", help="The first stage to run.")]
Last = Annotated[str | None, typer.Option("--to", metavar="STAGE", help="The last stage to run.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run", epilog="Example: llmforge run -c configs/demo.yaml")(run)


def run(
    config: Config = None,
    sets: Sets = None,
    data: Data = None,
    first: First = None,
    last: Last = None,
    workers: Workers = None,
    dry_run: DryRun = False,
    force: Force = False,
    strict: Strict = False,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the whole chain, from raw text to a trained model; what is up to date stays as it is."""
    flags = {"curate.sources": ("--data", data and ({"path": data},)), "run.workers": ("--workers", workers)}
    call = resolve(
        config,
        sets,
        flags=flags,
        quiet=quiet,
        debug=debug,
        dry_run=dry_run,
        force=force,
        strict=strict,
        as_json=as_json,
    )
    chosen = choose_stages(first, last)
    if dry_run:
        stages.show_plan({name: _plan(name, call) for name in chosen}, as_json)
        return
    with run_lock(call.settings.run_folder):
        write_run_yaml(call.settings)
        results = [_bring_up(name, call) for name in chosen]
    if as_json:
        print_json({"run": call.settings.run_folder.as_posix(), "stages": results})


def _bring_up(name: str, call: Call) -> dict[str, Any]:
    """Bring one stage up to date and report it."""
    if name == "train":
        status, manifest = bring_up_training(call)
        report_training(call, status, manifest)
        return training_to_dict(call, status, manifest)
    built = stages.build(name, call.settings, BuildOptions(call.force, strict=call.strict))
    stages.report(name, built)
    return stages.to_dict(name, built)


def _plan(name: str, call: Call) -> list[str]:
    """What a dry run can say of a stage now; a stage whose input is not made yet says so."""
    if name == "train":
        from llmforge.train.plan import plan_training

        return plan_training(call.settings)
    try:
        return plan_stage(stages.find_stage(name), call.settings, call.settings.run_folder)
    except InputError as error:
        if name == "curate":
            raise
        log.detail(str(error))
        return ["reads what the stage before it will have made"]
