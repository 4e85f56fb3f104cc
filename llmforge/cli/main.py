"""The `llmforge` command: the table of commands, and the one place where an error becomes an exit status."""

import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from llmforge import __version__
from llmforge.cli import commands
from llmforge.cli.output import print_json
from llmforge.core.errors import LlmforgeError

INTERRUPTED = 130


class _Commands(TyperGroup):
    """Turns an llmforge error into its message and exit code, and leaves usage errors to typer."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LlmforgeError as error:
            _show(error)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            print("interrupted; the same command goes on where this one stopped", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from error


def _show(error: LlmforgeError) -> None:
    if "--json" in sys.argv:
        print_json({"error": error.what, "hint": error.hint, "exit_code": error.exit_code})
    if "--debug" in sys.argv or error.exit_code == 1:
        traceback.print_exception(error, file=sys.stderr)
    print(f"error: {error}", file=sys.stderr)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _llmforge(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    # DeepSpeed's launcher puts it before the command; LOCAL_RANK in the environment says the same.
    local_rank: Annotated[int | None, typer.Option("--local_rank", "--local-rank", hidden=True)] = None,
) -> None:
    """Train language models from scratch, from raw text to a trained model, and account for everything on the way.

    curate -> dedup -> tokenize -> plan-scaling -> train, then generate.
    """


commands.add_all(app)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except Exception:
        traceback.print_exc()
        print("error: this is a bug in llmforge; please report it with the traceback above", file=sys.stderr)
        sys.exit(1)
