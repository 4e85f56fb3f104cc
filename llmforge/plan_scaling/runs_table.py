"""The runs that a law is fitted on, from a CSV with the columns params, tokens (or flops) and loss."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from llmforge.core.errors import InputError

# Five parameters are fitted; fewer runs than this cannot even contradict them.
MIN_RUNS = 8


@dataclass(frozen=True)
class Run:
    """One training run: parameters, tokens (counts) and final loss (nats per token)."""

    params: float
    tokens: float
    loss: float

    @property
    def flops(self) -> float:
        """Training FLOPs by the rule of 6ND."""
        return 6 * self.params * self.tokens


def read_runs(path: Path) -> list[Run]:
    """Read the runs of a CSV; other columns are left alone.

    Raises: InputError naming the column, or the line and value, that cannot be used.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            _check_columns(path, list(columns))
            runs = [_read_row(path, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV ({error})") from error
    _check_runs(path, runs)
    return runs


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
    params, loss = _number(path, line, row, "params"), _number(path, line, row, "loss")
    if row.get("tokens"):
        return Run(params, _number(path, line, row, "tokens"), loss)
    return Run(params, _number(path, line, row, "flops") / (6 * params), loss)


def _number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    text = row.get(column) or ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{path}, line {line}: {column} is {text!r}, which is no positive number")
    return value


def _check_runs(path: Path, runs: list[Run]) -> None:
    seen: dict[Run, int] = {}
    for line, run in enumerate(runs, start=2):
        if run in seen:
            raise InputError(
                f"{path}, line {line}: the same run as line {seen[run]} (params {run.params:g}, tokens {run.tokens:g}, "
                f"loss {run.loss:g})",
                "a run that stands there twice counts twice; remove one",
            )
        seen[run] = line
    if len(runs) < MIN_RUNS:
        raise InputError(f"{path}: {len(runs)} runs; a law of 5 parameters needs at least {MIN_RUNS}", "train more")
