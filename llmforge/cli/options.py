"""Options that the commands share, and what they resolve to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from llmforge.config.load import Loaded, load_settings
from llmforge.config.schema import Settings
from llmforge.core import log

_RUNNING = "How to work"

Config = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE", help="Settings; llmforge.yaml here where not given.")
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=C", help="One setting, over the file; may be repeated.")
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Worker processes; one a core where not given.", rich_help_panel=_RUNNING),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.", rich_help_panel=_RUNNING)
]
Force = Annotated[
    bool, typer.Option("--force", help="Rebuild what was made otherwise, and swap it in.", rich_help_panel=_RUNNING)
]
Strict = Annotated[bool, typer.Option("--strict", help="Warnings are errors.", rich_help_panel=_RUNNING)]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=_RUNNING)]
Quiet = Annotated[bool, typer.Option("--quiet", help="Warnings and errors only.", rich_help_panel=_RUNNING)]
Debug = Annotated[bool, typer.Option("--debug", help="More detail, and tracebacks.", rich_help_panel=_RUNNING)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/demo.")]


@dataclass(frozen=True)
class Call:
    """How a command was called: its settings, and the options that change no result."""

    loaded: Loaded
    dry_run: bool = False
    force: bool = False
    strict: bool = False
    as_json: bool = False

    @property
    def settings(self) -> Settings:
        """The resolved settings."""
        return self.loaded.settings


def resolve(
    config: Path | None,
    sets: list[str] | None,
    *,
    flags: dict[str, tuple[str, Any]] | None = None,
    quiet: bool = False,
    debug: bool = False,
    dry_run: bool = False,
    force: bool = False,
    strict: bool = False,
    as_json: bool = False,
) -> Call:
    """Set up messages and resolve the settings; a flag that was not given (None) sets nothing."""
    log.set_up(quiet=quiet, debug=debug)
    given = {name: (flag, value) for name, (flag, value) in (flags or {}).items() if value is not None}
    return Call(load_settings(config, sets or (), given), dry_run, force, strict, as_json)
