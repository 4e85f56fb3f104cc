"""`--plots FOLDER` and `--trace`: whether there is something to draw or trace, and where the plots went."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from llmforge.core import log
from llmforge.core.errors import SettingsError


def check_plots(folder: Path | None, without: Mapping[str, bool]) -> None:
    """Refuse before any work is done.

    Args:
        folder: where plots are to go; None: none are wanted.
        without: options that leave nothing to draw, and whether they were given.

    Raises: SettingsError if one of them was; MachineError if matplotlib is not installed.
    """
    if folder is None:
        return
    for option, given in without.items():
        if given:
            raise SettingsError(f"--plots {folder}: {option} draws nothing", f"leave out --plots or {option}")
    from llmforge.report.figures import check_matplotlib

    check_matplotlib()


def check_trace(asked: bool, without: Mapping[str, bool]) -> None:
    """Refuse `--trace` beside an option that plans no run.

    Raises: SettingsError naming the option.
    """
    for option, given in without.items():
        if asked and given:
            raise SettingsError(f"--trace: {option} plans no run to trace", f"leave out --trace or {option}")


def say_plots(files: Iterable[Path]) -> None:
    """Name the files that were drawn."""
    for file in files:
        log.say(f"plot          {file}")
