"""Options that the commands share. Only typer is imported here, so that --help answers at once."""

from pathlib import Path
from typing import Annotated

import typer

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
