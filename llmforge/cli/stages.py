"""What the stage commands share: find the stage, plan or build it, and say what came out."""

from importlib import import_module
from pathlib import Path
from typing import Any

from llmforge.cli.call import Call
from llmforge.cli.output import print_json, print_lines
from llmforge.cli.rules import rule_lines
from llmforge.cli.summary import summarize
from llmforge.config.load import write_run_yaml
from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.pipeline.build import BuildOptions, Built, build_stage, plan_stage
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.runner import STAGES
from llmforge.pipeline.stage import Stage

_WHERE = {
    "curate": ("llmforge.curate.stage", "CURATE"),
    "dedup": ("llmforge.dedup.stage", "DEDUP"),
    "tokenize": ("llmforge.tokenize.stage", "TOKENIZE"),
    "plan-scaling": ("llmforge.plan_scaling.stage", "PLAN_SCALING"),
}


def find_stage(name: str) -> Stage:
    """The stage of this name, imported now."""
    module, constant = _WHERE[name]
    stage: Stage = getattr(import_module(module), constant)
    return stage


def stage_command(name: str, call: Call) -> None:
    """Run one stage as a command of its own."""
    if call.dry_run:
        show_plan({name: plan_stage(find_stage(name), call.settings, call.settings.run_folder)}, call.as_json)
        return
    with run_lock(call.settings.run_folder):
        write_run_yaml(call.settings)
        built = build(name, call.settings, BuildOptions(call.force, always=call.force, strict=call.strict))
    report(name, built)
    if call.as_json:
        print_json(to_dict(name, built))
    else:
        say_next(name, call.settings)


def build(name: str, settings: Settings, options: BuildOptions) -> Built:
    """Bring one stage up to date; the caller holds the run's lock."""
    return build_stage(find_stage(name), settings, settings.run_folder, options)


def report(name: str, built: Built) -> None:
    """Say what a stage did, with its warnings."""
    for warning in built.manifest.warnings:
        log.warn(f"{name}: {warning}")
    if built.status != "up to date":
        for line in rule_lines(built.manifest.account, by_source=False):
            log.say(line)
    log.say(summarize(name, built))


def say_next(name: str, settings: Settings) -> None:
    """Say which command comes next."""
    place = STAGES.index(name) + 1
    if place < len(STAGES):
        log.say(f"next          llmforge {STAGES[place]} -c {settings.run_folder / 'run.yaml'}")


def show_plan(plans: dict[str, list[str]], as_json: bool) -> None:
    """Print what a dry run found."""
    if as_json:
        print_json({"plan": plans})
        return
    for name, lines in plans.items():
        print_lines([f"{name:<13} {line}" for line in lines])


def to_dict(name: str, built: Built) -> dict[str, Any]:
    """A stage's result for --json."""
    manifest = built.manifest
    return {
        "stage": name,
        "status": built.status,
        "folder": _text(built.folder),
        "fingerprint": manifest.fingerprint,
        "counts": manifest.counts,
        "results": manifest.results,
        "warnings": manifest.warnings,
        "wall_s": manifest.wall_s,
    }


def _text(path: Path) -> str:
    return path.as_posix()
