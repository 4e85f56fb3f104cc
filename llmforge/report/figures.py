"""What all plots share: matplotlib, if it is there, a plain look, and PNG files of the same bytes each time."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from llmforge.core.errors import MachineError
from llmforge.core.files import write_bytes

_INCHES, _DOTS_PER_INCH = (8.0, 5.0), 120
# Okabe and Ito 2008: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")
GREY = "#888888"


def check_matplotlib() -> None:
    """Refuse before any work is done.

    Raises: MachineError if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MachineError("plots need matplotlib, which is not installed", 'install it: pip install "llmforge[plots]"')


@contextmanager
def plot(path: Path, title: str, x_label: str, y_label: str, *, inches: tuple[float, float] = _INCHES) -> Iterator[Any]:
    """Axes to draw on; the file is written when the block ends without an error.

    Args:
        path: of the PNG.
        title, x_label, y_label: texts.
        inches: width and height.
    """
    from matplotlib.figure import Figure  # a figure of its own draws with Agg, without a window and global state

    figure = Figure(figsize=inches, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.spines[["top", "right"]].set_visible(False)
    yield axes
    image = BytesIO()
    figure.savefig(image, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, image.getvalue())


def legend(axes: Any, **where: Any) -> None:
    """A legend without a frame, small enough to stay out of the way; `where` goes to matplotlib."""
    axes.legend(frameon=False, fontsize=8, **where)
