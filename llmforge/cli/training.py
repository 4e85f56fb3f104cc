"""Training from the command line: in this process, as one rank of several, or by starting the several."""

from typing import Any

from llmforge.cli.call import Call
from llmforge.cli.output import print_json
from llmforge.cli.stages import show_plan
from llmforge.cli.summary import summarize_training
from llmforge.config.load import write_run_yaml
from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.launch.torchrun import launch_training
from llmforge.launch.world import choose_processes, launched_rank
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.manifest import Manifest, read_manifest
from llmforge.train.follow import follow_plan
from llmforge.train.forecast import plan_training
from llmforge.train.stage import train


def train_command(call: Call) -> None:
    """`llmforge train`: plan, be a rank, or bring the training to its end and say so."""
    if call.dry_run:
        show_plan({"train": plan_of_training(call)}, call.as_json)
        return
    if launched_rank() is not None:
        train(follow_plan(call.settings), force=call.force, always=call.force, strict=call.strict)
        return
    with run_lock(call.settings.run_folder):
        write_run_yaml(call.settings)
        status, manifest = bring_up_training(call, always=call.force)
    report_training(call, status, manifest)
    if call.as_json:
        print_json(training_to_dict(call, status, manifest))


def plan_of_training(call: Call) -> list[str]:
    """What --dry-run says of the training."""
    try:
        settings = follow_plan(call.settings)
    except InputError:
        return ["follows the plan, which is not made yet"]
    return plan_training(settings)


def bring_up_training(call: Call, *, always: bool) -> tuple[str, Manifest]:
    """Train until done, in this process or in launched ones; the caller holds the run's lock.

    Returns: how it came about ("built", "resumed", "launched", "up to date"), and the manifest.
    """
    settings = follow_plan(call.settings)
    strategy, num_processes = choose_processes(settings)
    folder = settings.run_folder / "train"
    if num_processes == 1:
        outcome = train(settings, force=call.force, always=always, strict=call.strict)
        return outcome.status, read_manifest(folder)
    words = ["-c", str(settings.run_folder / "run.yaml")]
    words += [flag for flag, given in (("--force", call.force), ("--strict", call.strict)) if given]
    launch_training(settings, words, num_processes, strategy, force=call.force, always=always)
    return f"{strategy} on {num_processes} processes", read_manifest(folder)


def report_training(call: Call, status: str, manifest: Manifest) -> None:
    """Say what the training did, with its warnings."""
    for warning in manifest.warnings:
        log.warn(f"train: {warning}")
    log.say(summarize_training(status, manifest, call.settings.run_folder / "train"))
    log.say(f'next          llmforge generate {call.settings.run_folder} --prompt "..."')


def training_to_dict(call: Call, status: str, manifest: Manifest) -> dict[str, Any]:
    """A training's result for --json."""
    return {
        "stage": "train",
        "status": status,
        "folder": (call.settings.run_folder / "train").as_posix(),
        "fingerprint": manifest.fingerprint,
        "results": manifest.results,
        "warnings": manifest.warnings,
        "wall_s": manifest.wall_s,
    }
