"""`llmforge config show`."""

from typing import Annotated

import typer

from llmforge.cli.options import Common, Config, Json, Sets
from llmforge.cli.output import print_json, print_lines

Origin = Annotated[bool, typer.Option("--origin", help="Print each value with where it came from.")]


def add(app: typer.Typer) -> None:
    """Add the group of commands."""
    group = typer.Typer(no_args_is_help=True, help="Look at settings.")
    group.command("show", epilog="Example: llmforge config show -c configs/demo.yaml --origin")(show)
    app.add_typer(group, name="config")


def show(config: Config = None, sets: Sets = None, origin: Origin = False, as_json: Json = False) -> None:
    """Print the resolved settings, every default written out."""
    from llmforge.cli.call import resolve
    from llmforge.config.load import origin_of, to_yaml, walk
    from llmforge.config.problems import dotted

    loaded = resolve(Common(config, sets)).loaded
    if as_json:
        print_json(loaded.settings.model_dump(mode="json"))
    elif origin:
        values = [(dotted(path), value, origin_of(path, loaded.origins)) for path, value in walk(loaded.settings)]
        print_lines([f"{name} = {value!r}  # {where}" for name, value, where in values])
    else:
        print_lines(to_yaml(loaded.settings).splitlines())
