"""Options that the commands share. Only typer is imported here, so that --help answers at once."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

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
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="FOLDER", help="Draw it as PNG files there; needs matplotlib.")
]
Trace = Annotated[
    bool, typer.Option("--trace", help="Trace the memory of a step with fake tensors, beside the closed form.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, such as runs/demo.")]


@dataclass(frozen=True)
class Common:
    """The options that every stage's command takes."""

    config: Config = None
    sets: Sets = None
    dry_run: DryRun = False
    force: Force = False
    strict: Strict = False
    as_json: Json = False
    quiet: Quiet = False
    debug: Debug = False


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """Let typer see each of the `Common` options where a command takes them as its first argument."""
    common = [
        Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields(Common)
    ]
    own = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in signature(command).parameters.values()][1:]
    names = [parameter.name for parameter in common]

    @wraps(command)
    def with_each(**given: Any) -> None:
        command(Common(**{name: given.pop(name) for name in names}), **given)

    which, how = common[:2], common[2:]
    with_each.__signature__ = signature(command).replace(parameters=[*which, *own, *how])  # type: ignore[attr-defined]
    with_each.__annotations__ = {parameter.name: parameter.annotation for parameter in [*which, *own, *how]}
    return with_each
