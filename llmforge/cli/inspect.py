"""`llmforge inspect RUN`, and `inspect params`, `inspect tokens`, `inspect data` and `inspect dups`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from llmforge.cli.options import Json, RunFolder, Trace
from llmforge.cli.output import print_json, print_lines

_HELP = ("-h", "--help")
Model = Annotated[str, typer.Argument(metavar="PRESET_OR_CONFIG", help="A preset, such as gpt2, or a settings file.")]
Sequences = Annotated[int, typer.Option("--sequences", min=1, help="With --trace: sequences in one forward pass.")]
TextOrRun = Annotated[str, typer.Argument(metavar="TEXT_OR_RUN", help="A text, or a run's folder.")]
WithTokenizer = Annotated[
    Path | None,
    typer.Option("--tokenizer", metavar="PATH", help="A run's folder or a tokenizer's file; else llmforge.yaml's run."),
]
NumTokens = Annotated[int, typer.Option("--tokens", min=1, help="Of a run, this many tokens.")]
Split = Annotated[Literal["train", "val"], typer.Option("--split", help="Training or validation.")]
FirstRow = Annotated[int, typer.Option("--first", min=0, help="The first row, in the order of reading.")]
NumPairs = Annotated[int, typer.Option("--pairs", min=1, help="How many pairs, at most.")]
Method = Annotated[Literal["exact", "url", "minhash"] | None, typer.Option("--method", help="Removed by this alone.")]
Packing = Annotated[bool, typer.Option("--packing", help="Instead: rows, broken documents and padding by packing.")]
NumRows = Annotated[int, typer.Option("--rows", min=1, help="How many rows, or dropped documents.")]
Dropped = Annotated[
    str | None, typer.Option("--dropped", metavar="RULE", help="Instead: documents that a rule of curate dropped.")
]


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
        help="Look at a run, its data and tokens, or at the parameters of a model.",
        epilog="Example: llmforge inspect runs/demo",
    )
    group.command("run", epilog="Example: llmforge inspect runs/demo")(run)
    group.command("params", epilog="Example: llmforge inspect params gpt2")(params)
    group.command("tokens", epilog='Example: llmforge inspect tokens "naïve cafés" --tokenizer runs/demo')(tokens)
    group.command("data", epilog="Example: llmforge inspect data runs/demo --split val --rows 2")(data)
    group.command("dups", epilog="Example: llmforge inspect dups runs/demo --method minhash --pairs 3")(dups)
    group.command("checkpoint", epilog="Example: llmforge inspect checkpoint runs/demo")(checkpoint)
    app.add_typer(group, name="inspect")


def run(run: RunFolder, as_json: Json = False) -> None:
    """Show what a run did; the word `run` may be left out."""
    from llmforge.cli.overview import overview, read_run

    manifests = read_run(run)
    if as_json:
        print_json({name: manifest.model_dump(mode="json", by_alias=True) for name, manifest in manifests.items()})
    else:
        print_lines(overview(run, manifests))


def params(model: Model, trace: Trace = False, sequences: Sequences = 4, as_json: Json = False) -> None:
    """Count a model's parameters, matrix by matrix."""
    from llmforge.arch.explain import inspect_parameters
    from llmforge.cli.parameters import find_architecture, parameter_lines
    from llmforge.cli.tracing import trace as trace_memory

    inspection = inspect_parameters(find_architecture(model))
    line, traced = trace_memory(inspection.arch, sequences, "fp32") if trace else ("", {})
    if as_json:
        print_json({"model": model, **inspection.to_dict(), **traced})
    else:
        print_lines([*parameter_lines(model, inspection), *(["", line] if trace else [])])


def tokens(
    text_or_run: TextOrRun, tokenizer: WithTokenizer = None, num_tokens: NumTokens = 64, as_json: Json = False
) -> None:
    """Show how a text, or a run's first tokens, is cut: pieces, ids and bytes."""
    from llmforge.cli.tokens import show_tokens, to_dict, tokens_of

    text, found = tokens_of(text_or_run, tokenizer, num_tokens)
    if as_json:
        print_json(to_dict(text, found))
    else:
        show_tokens(text, found)


def data(
    run: RunFolder,
    split: Split = "train",
    first: FirstRow = 0,
    rows: NumRows = 1,
    packing: Packing = False,
    dropped: Dropped = None,
    as_json: Json = False,
) -> None:
    """Show rows as training or validation reads them, decoded, with the documents that they come from."""
    if dropped is not None:
        _show_dropped(run, dropped, rows, as_json)
        return
    from llmforge.cli import training_rows

    if packing:
        context, reports = training_rows.compare_packing(run, split)
        if as_json:
            print_json({"split": split, "context": context, "packing": reports})
        else:
            print_lines(training_rows.packing_lines(context, reports))
        return
    found = training_rows.read_rows(run, split, first, rows)
    if as_json:
        print_json({"split": split, "rows": [training_rows.to_dict(row) for row in found]})
    else:
        print_lines([line for row in found for line in training_rows.row_lines(row)])


def _show_dropped(run: Path, rule: str, num_samples: int, as_json: bool) -> None:
    from llmforge.cli.judging import dropped_lines
    from llmforge.curate.dropped import sample_dropped

    num_dropped, samples = sample_dropped(run, rule, num_samples)
    if as_json:
        print_json({"rule": rule, "num_dropped": num_dropped, "samples": samples})
    else:
        print_lines(dropped_lines(rule, num_dropped, samples))


def dups(run: RunFolder, pairs: NumPairs = 5, method: Method = None, as_json: Json = False) -> None:
    """Show removed duplicates beside the documents that stay, with the differing words marked."""
    from llmforge.cli.duplicates import removal_lines, removal_to_dict
    from llmforge.dedup.evidence import read_removals

    removals = list(read_removals(run / "dedup", pairs, method))
    if as_json:
        print_json({"removals": [removal_to_dict(removal) for removal in removals]})
    else:
        shown = [line for removal in removals for line in removal_lines(removal)]
        print_lines(shown or [f"nothing was removed{f' by {method}' if method else ''}"])


def checkpoint(
    path: Annotated[Path, typer.Argument(metavar="RUN_OR_CHECKPOINT", help="A run (its newest), or one checkpoint.")],
    as_json: Json = False,
) -> None:
    """Prove a checkpoint against its hashes, and show what it holds."""
    from llmforge.cli.checkpoint import checkpoint_lines, to_dict
    from llmforge.train.inspection import find_checkpoint, inspect_checkpoint

    facts = inspect_checkpoint(find_checkpoint(path))
    if as_json:
        print_json(to_dict(facts))
    else:
        print_lines(checkpoint_lines(facts))
