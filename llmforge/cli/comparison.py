"""What `llmforge parity` shows: a line a strategy, and which of its figures are further off than allowed."""

from collections.abc import Sequence
from dataclasses import asdict

from llmforge.cli.call import Call
from llmforge.cli.output import duration, print_json, print_lines, size, table
from llmforge.core import log
from llmforge.core.errors import DivergedError, SettingsError
from llmforge.parallel.parity import CASES, TOLERANCES, ParityRow, run_parity, shrink
from llmforge.train.plan import resolve_model

_COLUMNS = ("loss", "gradients", "grad_norm", "sgd", "adamw")


def compare_strategies(call: Call, processes: Sequence[int] | None) -> None:
    """Run the comparison and print it.

    Raises: SettingsError for a number of processes that nothing is compared on; DivergedError if a figure misses.
    """
    worlds = processes or tuple(CASES)
    if unknown := [size for size in worlds if size not in CASES]:
        allowed = ", ".join(map(str, CASES))
        raise SettingsError(f"--processes is {unknown[0]}; allowed: {allowed}", "give one of them, or leave it out")
    arch = resolve_model(call.settings)
    small = shrink(arch)
    log.say(
        f"parity: {arch.family} at {small.layers} layers, width {small.dim}, {small.kv_heads} key and value heads, "
        f"on {', '.join(map(str, worlds))} processes"
    )
    rows = run_parity(arch, worlds)
    if call.as_json:
        print_json({"tolerances": TOLERANCES, "rows": [asdict(row) | {"misses": row.misses} for row in rows]})
    else:
        print_lines(parity_table(rows))
    if missed := [f"{row.strategy} on {row.processes} ({', '.join(row.misses)})" for row in rows if row.misses]:
        raise DivergedError(
            f"strategies that do not compute what one process computes: {'; '.join(missed)}",
            "do not train with them, and report the table as an error of llmforge",
        )


def parity_table(rows: Sequence[ParityRow]) -> list[str]:
    """Largest differences from one process, and the limits that they are held to."""
    header = ["strategy", "processes", "loss", "gradients", "norm", "sgd weights", "adamw weights"]
    lines = [[*header, "state / rank", "time", ""]]
    for row in rows:
        figures = [f"{getattr(row, column):.1e}" for column in _COLUMNS]
        verdict = f"misses: {', '.join(row.misses)}" if row.misses else "agrees"
        lines.append(
            [row.strategy, str(row.processes), *figures, size(row.state_bytes), duration(row.seconds), verdict]
        )
    limits = [f"{TOLERANCES[column]:.0e}" if column in TOLERANCES else "shown" for column in _COLUMNS]
    lines.append(["allowed", "", *limits, "", "", ""])
    return table(lines)
