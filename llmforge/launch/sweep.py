"""A sweep: one small training for every point of a grid, one after another, over one tokenize artifact.

1. every point's settings are resolved before the first one is trained
2. a point is a run of its own in <run>/sweep/, whose tokens are a link to the run's; a point that leaves the model or
   the tokens open gets a plan of its own
3. `llmforge train` in a process of its own, so that memory is given back; what is finished is up to date in a moment
4. sweep.json after every point; a stopped sweep goes on with the same command
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from llmforge.config.load import load_settings, write_run_yaml
from llmforge.config.schema import Settings
from llmforge.core.errors import DivergedError, InputError, Preempted, SettingsError
from llmforge.core.files import read_json, write_json
from llmforge.pipeline.build import BuildOptions, build_stage
from llmforge.pipeline.inputs import open_artifact
from llmforge.pipeline.lock import run_lock
from llmforge.pipeline.manifest import read_manifest
from llmforge.plan_scaling.stage import PLAN_SCALING

FOLDER, RESULTS = "sweep", "sweep.json"
_TOKENIZE = "tokenize"
_FIGURES = ("params", "tokens", "train_loss", "val_loss", "val_bits_per_byte", "tokens_per_s")


@dataclass(frozen=True)
class Point:
    """One run of a sweep: what the grid sets, as text by name, and the settings that come of it."""

    values: dict[str, str]
    settings: Settings

    @property
    def name(self) -> str:
        """The run's name."""
        return self.settings.run.name


def plan_points(config: Path | None, sets: Sequence[str], grid: Sequence[str]) -> list[Point]:
    """Every combination of the grid's values, resolved.

    Args:
        config, sets: as of every command.
        grid: `a.b=x,y,z` texts.

    Raises: SettingsError if a text of the grid is none, or a point's settings do not fit together; InputError if the
        run has no tokens yet.
    """
    base = load_settings(config, sets).settings
    open_artifact(base.run_folder, _TOKENIZE)
    axes = parse_grid(grid)
    points = []
    for chosen in product(*axes.values()):
        values = dict(zip(axes, chosen, strict=True))
        name = re.sub(r"[^A-Za-z0-9._+=-]", "-", "_".join(f"{key}-{value}" for key, value in values.items()))
        place = {"run.dir": ("sweep", str(base.run_folder / FOLDER)), "run.name": ("sweep", name)}
        point_sets = [*sets, *(f"{key}={value}" for key, value in values.items())]
        points.append(Point(values, load_settings(config, point_sets, place).settings))
    return points


def parse_grid(texts: Sequence[str]) -> dict[str, list[str]]:
    """Values by setting.

    Raises: SettingsError if a text has no name or no values, or names a setting or a value twice.
    """
    axes: dict[str, list[str]] = {}
    for text in texts:
        name, _, given = text.partition("=")
        values = [value.strip() for value in given.split(",")]
        if not name or not all(values) or len(set(values)) < len(values) or name in axes:
            raise SettingsError(
                f"--grid {text}: expected a setting that no other --grid names, and different values",
                "--grid model.layers=2,4,8",
            )
        axes[name] = values
    return axes


def run_sweep(points: Sequence[Point], base: Path, *, force: bool, tell: Callable[[dict[str, Any]], None]) -> Path:
    """Train every point that is not trained yet.

    Args:
        points: from `plan_points`.
        base: the folder of the run whose tokens they read.
        force: points that were trained with other settings are trained anew.
        tell: called with each point's row as soon as it is there.

    Returns: sweep.json, with the rows of earlier sweeps of this run.
    Raises: Preempted if it was stopped; InputError if a point failed otherwise than by diverging.
    """
    results = base / FOLDER / RESULTS
    rows = {row["name"]: row for row in read_json(results)["runs"]} if results.exists() else {}
    for point in points:
        rows[point.name] = _run_point(point, base, force=force)
        write_json(results, {"runs": list(rows.values())})
        tell(rows[point.name])
    return results


def _run_point(point: Point, base: Path, *, force: bool) -> dict[str, Any]:
    settings, folder = point.settings, point.settings.run_folder
    with run_lock(folder):
        if not (folder / _TOKENIZE).exists():
            (folder / _TOKENIZE).symlink_to(os.path.relpath(base / _TOKENIZE, folder), target_is_directory=True)
        write_run_yaml(settings)
        if settings.train.tokens == "auto" or not settings.model.is_chosen:
            build_stage(PLAN_SCALING, settings, folder, BuildOptions(force=force))
    command = [sys.executable, "-m", "llmforge", "train", "--quiet", "-c", str(folder / "run.yaml")]
    exit_code = _call([*command, *(["--force"] if force else [])])
    if exit_code in (Preempted.exit_code, -signal.SIGTERM, -signal.SIGINT):
        raise Preempted(f"the sweep was stopped in {point.name}", "the same command goes on there")
    if exit_code not in (0, DivergedError.exit_code):
        raise InputError(
            f"{point.name}: its training ended with exit code {exit_code}; its message is above",
            "the same command goes on with this point",
        )
    manifest = read_manifest(folder / "train")
    figures = {name: manifest.results.get(name) for name in _FIGURES}
    return {"name": point.name, "values": point.values, "state": manifest.state, **figures}


def _call(command: list[str]) -> int:
    """Run a command; a request to stop is handed on to it, and it is never left behind."""
    process = subprocess.Popen(command, stdout=sys.stderr)
    try:
        with _handing_on(process):
            return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


@contextmanager
def _handing_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
