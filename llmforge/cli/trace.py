"""`llmforge trace`."""

from typing import Annotated

import typer

from llmforge.cli.options import Json, RunFolder
from llmforge.cli.output import print_json, print_lines


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("trace", epilog="Example: llmforge trace runs/demo --step 100")(trace)


def trace(
    run: RunFolder,
    step: Annotated[int, typer.Option("--step", help="A step of the training, counted from 1.")],
    as_json: Json = False,
) -> None:
    """Name the documents that a training step saw, with their addresses."""
    from dataclasses import asdict

    from llmforge.train.trace import trace_step

    found = trace_step(run, step)
    if as_json:
        print_json({"run": run.as_posix(), **asdict(found)})
        return
    documents = [f"{span.source:<16} {span.id}  {span.url or '(no address)'}" for span in found.documents]
    print_lines([f"step {found.step:,}: {found.num_sequences} sequences, {len(documents)} documents", *documents])
