"""Reading a whole run again: hashes as the manifests say, accounts that add up."""

from pathlib import Path

from llmforge.core.errors import InputError
from llmforge.pipeline.manifest import MANIFEST, read_manifest
from llmforge.pipeline.runner import STAGES


def check_run(run: Path) -> dict[str, int]:
    """Hash every file of every finished stage again, and add every account up.

    Returns: how many files each stage has.
    Raises: InputError naming the first file that is not what its manifest says, or if nothing has finished.
    """
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
    return checked
