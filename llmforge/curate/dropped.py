"""Samples of what a rule dropped, from a finished run."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmforge.config.problems import nearest
from llmforge.core.errors import InputError
from llmforge.core.shards import read_objects
from llmforge.pipeline.inputs import open_artifact


def sample_dropped(run: Path, rule: str, num_samples: int, seed: int = 0) -> tuple[int, list[dict[str, Any]]]:
    """How many documents a rule dropped, and some of them, drawn evenly.

    Args:
        run: the run's folder.
        rule: a rule (`gopher_quality`) or one of its conditions (`gopher_quality.too_few_words`).
        num_samples: how many (count); fewer if there are no more.
        seed: of the draw.
    Raises: InputError if the rule dropped nothing, naming those that did.
    """
    draw, num_seen = random.Random(seed), 0
    chosen: list[dict[str, Any]] = []
    for number, row in enumerate(_read_dropped(run, rule), 1):
        num_seen = number
        place = number - 1 if number <= num_samples else draw.randrange(number)
        if place < num_samples:
            chosen[place : place + 1] = [row]
    if not chosen:
        raise _nothing(run, rule)
    return num_seen, chosen


def _read_dropped(run: Path, rule: str) -> Iterator[dict[str, Any]]:
    for file in open_artifact(run, "curate").files("dropped/"):
        for row in read_objects(file):
            if rule in _names(row["rule"]):
                yield row


def _names(dropped_by: str) -> tuple[str, ...]:
    """Under which names a drop is found: the condition, its rule, the rule without its variant."""
    rule = dropped_by.split(".")[0]
    return dropped_by, rule, rule.split("@")[0]


def _nothing(run: Path, rule: str) -> InputError:
    dropped = open_artifact(run, "curate").manifest.account.total.documents.dropped
    known = sorted({name for full in dropped for name in _names(full)})
    listed = ", ".join(f"{name} {number:,}" for name, number in dropped.most_common(12)) or "none did"
    return InputError(f"{run}: no document was dropped by {rule}", f"{nearest(rule, known) or 'these did:'} {listed}")
