"""`llmforge dedup`."""

from typing import Annotated, Any

import typer

from llmforge.cli.options import Common, Workers, with_common

Data = Annotated[
    str | None,
    typer.Option("--data", metavar="PATH", help="JSONL or Parquet that never saw curate, instead of curate's output."),
]
TargetRecall = Annotated[
    float | None, typer.Option("--target-recall", help="Choose bands and rows that find this share of the pairs --at.")
]
At = Annotated[
    float | None, typer.Option("--at", help="The similarity that --target-recall speaks of; 0.8 if not given.")
]
SelfCheck = Annotated[
    bool, typer.Option("--self-check", help="Plant edited copies in a sample of the input, and say what is found.")
]

_USUAL_SIMILARITY = 0.8


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dedup", epilog="Example: llmforge dedup --data ./documents.jsonl.gz")(dedup)


@with_common
def dedup(
    common: Common,
    data: Data = None,
    workers: Workers = None,
    target_recall: TargetRecall = None,
    at: At = None,
    self_check: SelfCheck = False,
) -> None:
    """Remove exact and near-duplicates, each one proven."""
    from llmforge.cli.call import resolve
    from llmforge.cli.self_check import show_self_check
    from llmforge.cli.stages import stage_command
    from llmforge.core import log

    flags: dict[str, tuple[str, Any]] = {"dedup.data": ("--data", data), "run.workers": ("--workers", workers)}
    if target_recall is not None or at is not None:
        flags.update(_choose_bands(target_recall, at))
    call = resolve(common, flags)
    minhash = call.settings.dedup.minhash
    if self_check:
        show_self_check(call)
        return
    if minhash is not None and not call.dry_run:  # a dry run says it among its notes
        from llmforge.dedup.lsh import draw_curve

        for line in draw_curve(minhash.bands, minhash.rows):
            log.say(line)
    stage_command("dedup", call)


def _choose_bands(recall: float | None, at: float | None) -> dict[str, tuple[str, Any]]:
    """Bands and rows for a recall, as if they had been given on the command line.

    Raises: SettingsError if no signature reaches it, or a similarity comes without a recall.
    """
    from llmforge.core.errors import SettingsError
    from llmforge.dedup.lsh import choose_bands

    if recall is None:
        raise SettingsError(
            f"--at {at}: says at which similarity, but not how many of the pairs", "add --target-recall"
        )
    try:
        bands, rows = choose_bands(recall, _USUAL_SIMILARITY if at is None else at)
    except ValueError as error:
        raise SettingsError(f"--target-recall: {error}") from error
    return {"dedup.minhash.bands": ("--target-recall", bands), "dedup.minhash.rows": ("--target-recall", rows)}
