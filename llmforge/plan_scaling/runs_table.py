"""The runs that a law is fitted on: a CSV with the columns params, tokens (or flops) and loss, or finished runs.

A column unique_tokens, which may be empty, says of how many tokens the others are repetitions.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.pipeline.manifest import MANIFEST, Manifest, read_manifest

# Five parameters are fitted; fewer runs than this cannot even contradict them.
MIN_RUNS = 8
# Up to here repetition does no harm that these fits could see (Muennighoff et al. 2023, section 6).
_FRESH_EPOCHS = 1.05
_TRAIN = "train"


@dataclass(frozen=True)
class Run:
    """One training run: parameters, tokens (counts), final loss (nats per token), and passes over its tokens."""

    params: float
    tokens: float
    loss: float
    epochs: float = 1.0

    @property
    def flops(self) -> float:
        """Training FLOPs by the rule of 6ND."""
        return 6 * self.params * self.tokens


def read_runs(path: Path) -> list[Run]:
    """Read the runs of a CSV, or of a folder: a finished run, or a folder of them.

    Raises: InputError naming the column, or the line and value, or the run, that cannot be used.
    """
    placed = _read_folder(path) if path.is_dir() else _read_csv(path)
    _check_runs(path, placed)
    return [run for _, run in placed]


def _read_csv(path: Path) -> list[tuple[str, Run]]:
    """Each run with its line; columns that are not asked for are left alone."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_columns(path, list(reader.fieldnames or []))
            return [(f"line {reader.line_num}", _read_row(path, reader.line_num, row)) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV ({error})") from error


def _read_folder(path: Path) -> list[tuple[str, Run]]:
    """Each finished training with the name of its run; others are left out."""
    folders = [path, *sorted(child for child in path.iterdir() if child.is_dir())]
    trained = [folder for folder in folders if (folder / _TRAIN / MANIFEST).exists()]
    if not trained:
        raise InputError(f"{path}: no run in it has been trained", "name a CSV, a run, or a folder of runs")
    manifests = {folder.name: read_manifest(folder / _TRAIN) for folder in trained}
    finished = {name: manifest for name, manifest in manifests.items() if manifest.state == "finished"}
    for name in manifests.keys() - finished.keys():
        log.warn(f"{path}: the training of {name} is {manifests[name].state}; it is left out")
    _check_same_text(path, finished)
    return [(name, _read_results(path, name, manifest.results)) for name, manifest in finished.items()]


def _check_same_text(path: Path, manifests: dict[str, Manifest]) -> None:
    """Losses of other tokens, or of another validation split, do not compare."""
    stores = {name: manifest.identity["inputs"]["stage tokenize"] for name, manifest in manifests.items()}
    first = next(iter(stores), "")
    for name, store in stores.items():
        if store != stores[first]:
            raise InputError(
                f"{path}: {first} and {name} read different tokens, so that their losses do not compare",
                "fit runs over one tokenize artifact",
            )


def _read_results(path: Path, name: str, results: dict[str, Any]) -> Run:
    if results["val_loss"] is None:
        raise InputError(f"{path}: {name} has no validation loss", "set tokenize.val_fraction above 0, and train anew")
    return Run(results["params"], results["tokens"], results["val_loss"], max(1.0, results["epochs"]))


def _check_columns(path: Path, columns: list[str]) -> None:
    missing = [name for name in ("params", "loss") if name not in columns]
    if "tokens" not in columns and "flops" not in columns:
        missing.append("tokens (or flops)")
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; found {', '.join(columns) or 'nothing'}",
            "the first line names the columns: params, tokens or flops, loss",
        )


def _read_row(path: Path, line: int, row: dict[str, str]) -> Run:
    if None in row:  # more values than columns: a decimal comma, or a column without a name
        raise InputError(
            f"{path}, line {line}: more values than columns, from {row[None][0]!r} on",  # type: ignore[index]
            "write numbers with a decimal point, and name every column",
        )
    params, loss = _number(path, line, row, "params"), _number(path, line, row, "loss")
    if row.get("tokens"):
        tokens = _number(path, line, row, "tokens")
    else:
        tokens = _number(path, line, row, "flops") / (6 * params)
    unique = _number(path, line, row, "unique_tokens") if row.get("unique_tokens") else tokens
    return Run(params, tokens, loss, max(1.0, tokens / unique))


def _number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    text = row.get(column) or ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{path}, line {line}: {column} is {text!r}, which is no positive number")
    return value


def fresh_runs(runs: list[Run]) -> list[Run]:
    """The runs that repeat no data, on which a law of fresh data is fitted.

    Raises: InputError if they are too few.
    """
    fresh = [run for run in runs if run.epochs <= _FRESH_EPOCHS]
    if len(fresh) < MIN_RUNS:
        raise InputError(
            f"{len(fresh)} of {len(runs)} runs read their data once; a law of 5 parameters needs at least {MIN_RUNS}",
            "train more runs on fresh data; what repetition costs is fitted on top of their law",
        )
    return fresh


def _check_runs(path: Path, placed: list[tuple[str, Run]]) -> None:
    seen: dict[Run, str] = {}
    for place, run in placed:
        if run in seen:
            raise InputError(
                f"{path}, {place}: the same run as {seen[run]} (params {run.params:g}, tokens {run.tokens:g}, "
                f"loss {run.loss:g})",
                "a run that stands there twice counts twice; remove one",
            )
        seen[run] = place
    if len(placed) < MIN_RUNS:
        raise InputError(f"{path}: {len(placed)} runs; a law of 5 parameters needs at least {MIN_RUNS}", "train more")
