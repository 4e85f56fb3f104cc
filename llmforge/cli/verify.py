"""`llmforge verify`."""

import typer

from llmforge.cli.options import Json, RunFolder
from llmforge.cli.output import print_json, print_lines


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog="Example: llmforge verify runs/demo")(verify)


def verify(run: RunFolder, as_json: Json = False) -> None:
    """Read every file of a run again and prove it."""
    from dataclasses import asdict

    from llmforge.cli.checks import check_run, proof_lines, prove_dedup

    checked = check_run(run)
    proof = prove_dedup(run)
    if as_json:
        print_json({"run": run.as_posix(), "files": checked, "dedup": asdict(proof) if proof else None})
    else:
        lines = [f"{name:<13} {files} files are as the manifest says" for name, files in checked.items()]
        print_lines([*lines, "every account adds up", *(proof_lines(proof) if proof else [])])
