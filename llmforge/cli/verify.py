"""`llmforge verify`."""

import typer

from llmforge.cli.options import Json, RunFolder
from llmforge.cli.output import print_json, print_lines
from llmforge.core.errors import InputError
from llmforge.pipeline.manifest import MANIFEST, read_manifest
from llmforge.pipeline.runner import STAGES


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify", epilog="Example: llmforge verify runs/demo")(verify)


def verify(run: RunFolder, as_json: Json = False) -> None:
    """Read every file of a run again: hashes as the manifests say, and accounts that add up."""
    folders = [run / stage for stage in STAGES if (run / stage / MANIFEST).exists()]
    if not folders:
        raise InputError(f"{run}: no finished stage in this folder", "name a run's folder, such as runs/demo")
    checked = {}
    for folder in folders:
        manifest = read_manifest(folder)
        if damage := manifest.find_damage(folder, contents=True):
            raise InputError(damage, f"rebuild it: llmforge {folder.name} --force")
        manifest.account.check()
        checked[folder.name] = len(manifest.outputs)
    if as_json:
        print_json({"run": run.as_posix(), "files": checked})
    else:
        print_lines(
            [
                f"{name:<13} {number} files are as the manifest says, the account adds up"
                for name, number in checked.items()
            ]
        )
