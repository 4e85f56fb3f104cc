"""`llmforge export-tokens`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from llmforge.cli.options import Debug, Json, Quiet, RunFolder
from llmforge.cli.output import print_json, print_lines, size
from llmforge.core import log

Format = Annotated[
    Literal["megatron", "nanogpt"],
    typer.Option("--format", help="megatron: SPLIT.bin and SPLIT.idx; nanogpt: train.bin and val.bin of 16 bits."),
]
Target = Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to write; made where missing.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export-tokens", epilog="Example: llmforge export-tokens runs/demo --format nanogpt -o nanogpt-data")(
        export_tokens
    )


def export_tokens(
    run: RunFolder,
    output: Target,
    form: Format = "megatron",
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a run's tokens in the format of another trainer; its tokenizer is in RUN/tokenize for transformers."""
    from llmforge.pipeline.inputs import open_artifact
    from llmforge.tokenize.formats import write_megatron, write_nanogpt
    from llmforge.tokenize.token_store import SPLITS, TokenStore

    log.set_up(quiet=quiet, debug=debug)
    folder = open_artifact(run, "tokenize").folder
    if form == "nanogpt":
        paths = write_nanogpt(folder, output)
    else:
        paths = [path for split in SPLITS for path in write_megatron(TokenStore.open(folder, split), output / split)]
    written = {path.as_posix(): path.stat().st_size for path in paths}
    if as_json:
        print_json({"format": form, "files": written})
    else:
        print_lines([f"{path}  {size(num_bytes)}" for path, num_bytes in written.items()])
