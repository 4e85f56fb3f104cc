"""`llmforge curate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmforge.cli.options import Common, Workers, with_common
from llmforge.cli.output import print_json, print_lines

if TYPE_CHECKING:
    from llmforge.cli.call import Call

Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="PATH_OR_HF_ID",
        help="A file, a folder, a URL or a Hugging Face data set, instead of curate.sources.",
    ),
]
Explain = Annotated[
    str | None,
    typer.Option(
        "--explain", metavar="FILE_OR_ID", help="One document before every rule; FILE#3 is a file's third record."
    ),
]
WhatIf = Annotated[
    str | None,
    typer.Option("--what-if", metavar="RULE.LIMIT=X,Y,Z", help="What other limits keep, from the finished run alone."),
]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("curate", epilog="Example: llmforge curate --data ./my_texts")(curate)


@with_common
def curate(
    common: Common, data: Data = None, explain: Explain = None, what_if: WhatIf = None, workers: Workers = None
) -> None:
    """Read, extract and judge documents; every drop has its reason."""
    from llmforge.cli.call import resolve
    from llmforge.cli.stages import stage_command

    flags = {"curate.sources": ("--data", data and ({"path": data},)), "run.workers": ("--workers", workers)}
    call = resolve(common, flags)
    if explain is not None:
        _explain(call, explain)
    elif what_if is not None:
        _answer(call, what_if)
    else:
        stage_command("curate", call)


def _explain(call: "Call", target: str) -> None:
    from llmforge.cli.judging import explanation_lines
    from llmforge.curate.explain import explain, to_dict

    explained = explain(call.settings, target)
    if call.as_json:
        print_json(to_dict(explained))
    else:
        print_lines(explanation_lines(explained))


def _answer(call: "Call", words: str) -> None:
    from llmforge.cli.judging import answer_lines, answers_to_dict
    from llmforge.curate.what_if import answer, parse_question
    from llmforge.pipeline.inputs import open_artifact

    question, folder = parse_question(words), call.settings.run_folder
    artifact = open_artifact(folder, "curate")
    own, answers = answer(artifact.folder, question)
    if call.as_json:
        print_json(answers_to_dict(question, own, answers))
        return
    came_in = artifact.manifest.account.total.documents.came_in
    print_lines(answer_lines(question, own, answers, came_in, _bytes_per_token(folder)))


def _bytes_per_token(run: Path) -> float | None:
    """Of the run's tokenizer on its training text; None while there is none."""
    from llmforge.pipeline.manifest import MANIFEST, read_manifest

    if not (run / "tokenize" / MANIFEST).exists():
        return None
    train = read_manifest(run / "tokenize").results["store"]["train"]
    return float(train["num_bytes"] / train["num_tokens"])
