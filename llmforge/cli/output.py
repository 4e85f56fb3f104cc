"""What goes where: data to stdout, everything else to stderr; numbers in a form for people."""

import sys
from typing import Any

from llmforge.core.files import to_json


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    sys.stdout.write(to_json(value, indent=True).decode() + "\n")


def print_lines(lines: list[str]) -> None:
    """Lines on stdout."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def count(value: float) -> str:
    """A count with thousands separated: 1,204,331."""
    return f"{value:,.0f}"


def size(num_bytes: float) -> str:
    """Bytes with a decimal unit: 3.1 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(num_bytes) < 1000 or unit == "TB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    raise AssertionError


def share(part: float, whole: float) -> str:
    """A share in per cent: 16.0%."""
    return f"{100 * part / whole:.1f}%" if whole else "0.0%"


def duration(seconds: float) -> str:
    """A time: 0.4 s, 3m12s, 2h05m."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def table(rows: list[list[str]], *, right: bool = True) -> list[str]:
    """Rows as aligned lines: the first row is the header, the first column stands left, numbers stand right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) if right else cell.ljust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
