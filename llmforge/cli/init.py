"""`llmforge init`."""

from pathlib import Path
from typing import Annotated

import typer

from llmforge.cli.output import print_lines
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import write_bytes

Preset = Annotated[str | None, typer.Argument(metavar="PRESET", help="A shipped config; none: list them.")]
Target = Annotated[Path, typer.Option("-o", "--output", help="The file to write.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog="Example: llmforge init laptop")(init)


def init(preset: Preset = None, output: Target = Path("llmforge.yaml")) -> None:
    """Write a commented config to start from."""
    from llmforge.config.problems import nearest

    shipped = find_configs()
    if preset is None:
        print_lines([f"{name:<16} {_first_comment(path)}" for name, path in sorted(shipped.items())])
        return
    if preset not in shipped:
        raise SettingsError(
            f"no shipped config is called {preset!r}; there are {', '.join(sorted(shipped))}",
            nearest(preset, list(shipped)),
        )
    if output.exists():
        raise InputError(f"{output}: exists already, and is not overwritten", "choose another name with -o")
    write_bytes(output, shipped[preset].read_bytes())
    print_lines([f"wrote {output}; look at it, then: llmforge run -c {output}"])


def find_configs() -> dict[str, Path]:
    """The shipped configs by name: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "configs"
    folder = inside if inside.is_dir() else package.parent / "configs"
    return {path.stem: path for path in folder.glob("*.yaml")}


def _first_comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("#").strip()
