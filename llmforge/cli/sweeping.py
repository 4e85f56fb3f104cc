"""What a sweep shows: its points before, each one as it ends, and the table of all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmforge.arch.params import count_parameters
from llmforge.cli.drawing import say_plots
from llmforge.cli.output import count, print_json, print_lines, table
from llmforge.core import log
from llmforge.core.files import read_json
from llmforge.launch.sweep import Point, run_sweep
from llmforge.train.plan import resolve_model


def show_points(points: Sequence[Point], as_json: bool) -> None:
    """Say what would be trained, and train nothing."""
    rows = [{"name": point.name, "values": point.values, **_size(point)} for point in points]
    if as_json:
        print_json({"runs": rows})
        return
    print_lines(
        table([["run", "parameters", "tokens"], *([row["name"], row["params"], row["tokens"]] for row in rows)])
    )


def _size(point: Point) -> dict[str, Any]:
    train, model = point.settings.train, point.settings.model
    params = count_parameters(resolve_model(point.settings)).total if model.is_chosen else None
    return {"params": _or_plan(params), "tokens": _or_plan(None if train.tokens == "auto" else train.tokens)}


def _or_plan(value: int | None) -> str:
    return "by its plan" if value is None else count(value)


def sweep_command(points: Sequence[Point], plots: Path | None, *, force: bool, as_json: bool) -> None:
    """Train every point, print the table of all, and draw their losses side by side where asked."""
    base = points[0].settings.run_folder.parent.parent

    def tell(row: dict[str, Any]) -> None:
        log.say(f"sweep         {row['name']}: {row['state']}, validation loss {_loss(row['val_loss'])}")

    results = run_sweep(points, base, force=force, tell=tell)
    rows = read_json(results)["runs"]
    if plots is not None:
        from llmforge.report.sweep_plots import plot_sweep

        say_plots(plot_sweep({_short(row): results.parent / row["name"] for row in rows}, plots))
    if as_json:
        print_json({"sweep": results.as_posix(), "runs": rows})
        return
    header = ["run", "state", "parameters", "tokens", "validation loss", "tokens/s"]
    print_lines(table([header, *map(_cells, rows)]))
    log.say(f"next          llmforge plan-scaling --fit {results.parent}")


def _short(row: dict[str, Any]) -> str:
    """A run's name with its values alone: those that tell it from the others."""
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in row["values"].items())


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = ("-" if row[name] is None else count(row[name]) for name in ("params", "tokens"))
    speed = "-" if row["tokens_per_s"] is None else count(row["tokens_per_s"])
    return [row["name"], row["state"], *numbers, _loss(row["val_loss"]), speed]


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
