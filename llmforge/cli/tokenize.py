"""`llmforge tokenize`."""

from typing import Annotated

import typer

from llmforge.cli.options import Common, Workers, with_common

Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="JSONL or Parquet that never saw curate, instead of dedup's output."),
]
Compare = Annotated[
    bool, typer.Option("--compare", help="Train several kinds on a sample, print one comparison, and build nothing.")
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tokenize", epilog="Example: llmforge tokenize --data ./documents --set tokenize.vocab_size=16384")(
        tokenize
    )


@with_common
def tokenize(
    common: Common,
    data: Data = None,
    compare: Compare = False,
    workers: Workers = None,
) -> None:
    """Train a tokenizer and encode the documents."""
    from llmforge.cli.call import resolve
    from llmforge.cli.stages import stage_command

    flags = {"tokenize.data": ("--data", data), "run.workers": ("--workers", workers)}
    call = resolve(common, flags)
    if compare:
        from llmforge.cli.comparing import compare_command

        compare_command(call)
    else:
        stage_command("tokenize", call)
