"""Reading a whole run again: hashes as the manifests say, accounts that add up, removals that are proven."""

from pathlib import Path

from llmforge.core.errors import InputError
from llmforge.dedup.proof import Proof, prove
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


def prove_dedup(run: Path) -> Proof | None:
    """Prove the run's removals from its files alone; None if there is no finished dedup.

    Raises: InputError naming the first removal or count that is not as it should be, or if more near-duplicates
        were missed than the catch curve allows.
    """
    return prove(run / "dedup") if (run / "dedup" / MANIFEST).exists() else None


def proof_lines(proof: Proof) -> list[str]:
    """What was proven, in words."""
    return [
        f"dedup: each of {proof.removed:,} removed documents names a keeper that is among the {proof.kept:,} kept",
        f"dedup: of {proof.sampled:,} kept documents, compared with all others, {proof.missed:,} have a duplicate that "
        f"was missed; the catch curve allows {proof.allowed:.1f}",
    ]
