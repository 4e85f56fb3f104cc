"""`llmforge generate`."""

from typing import Annotated

import typer

from llmforge.cli.options import Debug, Json, Quiet, RunFolder
from llmforge.cli.output import print_json, print_lines
from llmforge.core import log

Prompt = Annotated[str, typer.Option("--prompt", help="The text to go on from.")]
Tokens = Annotated[int, typer.Option("--tokens", min=1, help="Tokens to add, at most.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0.0, help="0: always the likeliest token.")]
TopK = Annotated[int | None, typer.Option("--top-k", min=1, help="Draw from the k likeliest tokens.")]
TopP = Annotated[float | None, typer.Option("--top-p", min=0.0, max=1.0, help="Draw from this share of probability.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same text.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generate", epilog='Example: llmforge generate runs/demo --prompt "The with statement"')(generate)


def generate(
    run: RunFolder,
    prompt: Prompt = "",
    tokens: Tokens = 100,
    temperature: Temperature = 0.8,
    top_k: TopK = None,
    top_p: TopP = 0.95,
    seed: Seed = 1234,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write text with a trained model. A base model goes on from the prompt; it does not chat."""
    from llmforge.generate.sampling import Sampling
    from llmforge.generate.text import TextModel

    log.set_up(quiet=quiet, debug=debug)
    sampling = Sampling(temperature, top_k, top_p, seed)
    text = TextModel(run).write(prompt, tokens, sampling)
    if as_json:
        print_json({"prompt": prompt, "text": text, "seed": seed})
    else:
        print_lines([text])
