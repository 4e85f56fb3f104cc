"""The runs of a sweep side by side: loss over tokens, from their metrics files."""

from collections.abc import Mapping
from pathlib import Path

import orjson

from llmforge.report.figures import COLOURS, check_matplotlib, legend, plot

_METRICS = Path("train") / "metrics.jsonl"
_STYLES = ("-", "--", ":", "-.")


def plot_sweep(runs: Mapping[str, Path], folder: Path) -> list[Path]:
    """Draw the training loss of every run, as logged, over the tokens it has read.

    Args:
        runs: the runs' folders by what they are called in the legend.
        folder: where the PNG file goes.

    Returns: the file; a run that logged nothing has no line in it.
    Raises: MachineError if matplotlib is not installed.
    """
    check_matplotlib()
    path = folder / "sweep.png"
    with plot(path, "Training loss", "tokens", "loss (nats per token)", inches=(10.0, 5.5)) as axes:
        for place, (name, run) in enumerate(runs.items()):
            written = (run / _METRICS).read_bytes() if (run / _METRICS).exists() else b""
            lines = [orjson.loads(line) for line in written.splitlines()]
            style = {"color": COLOURS[place % len(COLOURS)], "linestyle": _STYLES[place // len(COLOURS) % len(_STYLES)]}
            axes.plot([line["tokens"] for line in lines], [line["loss"] for line in lines], label=name, **style)
        legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return [path]
