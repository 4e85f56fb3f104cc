"""`llmforge import-tokens`."""

from pathlib import Path
from typing import Annotated

import typer

from llmforge.cli.options import Debug, Json, Quiet
from llmforge.cli.output import count, print_json, print_lines
from llmforge.core import log

Tokens = Annotated[Path, typer.Argument(metavar="FILE", help="A Megatron .idx with its .bin, or a nanoGPT .bin alone.")]
Made = Annotated[
    Path, typer.Option("--tokenizer", metavar="PATH", help="What the tokens were made with: a run, folder or file.")
]
Target = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Documents, as .jsonl.zst.")]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "import-tokens",
        epilog="Example: llmforge import-tokens theirs/train.idx --tokenizer theirs -o documents/train.jsonl.zst",
    )(import_tokens)


def import_tokens(
    tokens: Tokens,
    tokenizer: Made,
    output: Target,
    as_json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn another trainer's tokens into documents again, for tokenize --data (and dedup --data)."""
    from llmforge.core.errors import SettingsError
    from llmforge.core.shards import shard_writer
    from llmforge.tokenize.formats import decode_documents
    from llmforge.tokenize.inspection import find_tokenizer

    log.set_up(quiet=quiet, debug=debug)
    if not output.name.endswith(".jsonl.zst"):
        raise SettingsError(f"-o {output}: documents are written as .jsonl.zst", "end the name with .jsonl.zst")
    num_documents = num_bytes = 0
    output.parent.mkdir(parents=True, exist_ok=True)
    with shard_writer(output) as writer:
        for document in decode_documents(tokens, find_tokenizer(tokenizer)):
            writer.write(document)
            num_documents += 1
            num_bytes += document.num_bytes
    if as_json:
        print_json({"file": output.as_posix(), "documents": num_documents, "bytes": num_bytes})
    else:
        print_lines([f"{output}  {count(num_documents)} documents, {count(num_bytes)} bytes of text"])
