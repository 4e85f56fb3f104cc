"""`llmforge plan-scaling --check`: a run's predictions beside what it measured, on stdout."""

from pathlib import Path

import orjson

from llmforge.cli.call import Call
from llmforge.cli.output import duration, print_json, print_lines, size, table
from llmforge.config.load import load_settings
from llmforge.config.schema import Settings
from llmforge.core.errors import InputError
from llmforge.pipeline.inputs import open_artifact
from llmforge.pipeline.manifest import MANIFEST, read_manifest
from llmforge.plan_scaling.check import Comparison, Trained, compare
from llmforge.train.follow import follow_plan
from llmforge.train.plan import resolve_model


def check_command(run: Path, call: Call) -> None:
    """Compare speed, memory and loss of a run's training with what a plan says of it.

    Device and law are those of the call where it sets any, else the run's.

    Raises: InputError if nothing has been trained in this folder, or no step has been logged yet.
    """
    settings = _settings_of(run)
    asked, default = call.settings.plan_scaling, type(call.settings.plan_scaling)()
    comparisons = compare(settings.plan_scaling if asked == default else asked, _read_training(run, settings))
    if call.as_json:
        print_json({"run": run.as_posix(), "check": [one.to_dict() for one in comparisons]})
        return
    header = ["", "predicted", "measured", "error", "rests on"]
    print_lines(table([header, *map(_cells, comparisons)], right=False))


def _settings_of(run: Path) -> Settings:
    """The settings that a run was made with, wherever its folder has gone since."""
    if not (run / "train" / MANIFEST).exists():
        raise InputError(f"{run}: nothing has been trained here", "name a run's folder, such as runs/demo")
    place = {"run.dir": ("RUN", str(run.resolve().parent)), "run.name": ("RUN", run.resolve().name)}
    return follow_plan(load_settings(run / "run.yaml", flags=place).settings)


def _read_training(run: Path, settings: Settings) -> Trained:
    metrics = run / "train" / "metrics.jsonl"
    lines = [orjson.loads(line) for line in metrics.read_bytes().splitlines()] if metrics.exists() else []
    if not lines:
        raise InputError(f"{metrics}: no step has been logged yet", "look again when the training has taken some")
    store = open_artifact(run, "tokenize").manifest.results["store"]
    return Trained(resolve_model(settings), read_manifest(run / "train"), lines, store["train"]["num_tokens"])


def _cells(one: Comparison) -> list[str]:
    error = "" if one.error is None else f"{one.error:+.1%}"
    return [one.name, _figure(one.predicted, one.unit), _figure(one.measured, one.unit), error, one.note]


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "bytes":
        return size(value)
    if unit == "s":
        return duration(value)
    return f"{value:.1%}" if unit == "share" else f"{value:,.4g} {unit}"
