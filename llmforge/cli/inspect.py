"""`llmforge inspect RUN`, and `llmforge inspect params PRESET_OR_CONFIG`."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from llmforge.cli.options import Json, RunFolder
from llmforge.cli.output import print_json, print_lines

_HELP = ("-h", "--help")
Model = Annotated[str, typer.Argument(metavar="PRESET_OR_CONFIG", help="A preset, such as gpt2, or a settings file.")]


class _RunUnlessNamed(TyperGroup):
    """A group whose first word may be left out: `inspect RUN` is `inspect run RUN`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, *_HELP):
            args = ["run", *args]
        return super().parse_args(ctx, args)


def add(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(
        cls=_RunUnlessNamed,
        help="Look at a run, or at the parameters of a model.",
        epilog="Example: llmforge inspect runs/demo",
    )
    group.command("run", epilog="Example: llmforge inspect runs/demo")(run)
    group.command("params", epilog="Example: llmforge inspect params gpt2")(params)
    app.add_typer(group, name="inspect")


def run(run: RunFolder, as_json: Json = False) -> None:
    """Show what a run did; the word `run` may be left out."""
    from llmforge.cli.overview import overview, read_run

    manifests = read_run(run)
    if as_json:
        print_json({name: manifest.model_dump(mode="json", by_alias=True) for name, manifest in manifests.items()})
    else:
        print_lines(overview(run, manifests))


def params(model: Model, as_json: Json = False) -> None:
    """Count a model's parameters, matrix by matrix."""
    from llmforge.arch.explain import inspect_parameters
    from llmforge.cli.parameters import find_architecture, parameter_lines

    inspection = inspect_parameters(find_architecture(model))
    if as_json:
        print_json({"model": model, **inspection.to_dict()})
    else:
        print_lines(parameter_lines(model, inspection))
