"""Step 1: how much text there is on each side of the validation split, before anything is trained on it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from llmforge.core import log
from llmforge.core.documents import Document
from llmforge.core.errors import InputError
from llmforge.core.files import read_json, write_json
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.stage import Context, Plan, Shard
from llmforge.tokenize.corpus import ValidationSplit, component, plan_shards, read_shard, share


@dataclass(frozen=True)
class Survey:
    """What the survey found: training text of each source (UTF-8 bytes) and the split."""

    train_bytes: dict[str, int]
    split: ValidationSplit

    @classmethod
    def load(cls, context: Context) -> "Survey":
        """Read what the survey's `finish` left."""
        found = read_json(context.scratch("survey") / "survey.json")
        settings = context.settings
        split = ValidationSplit(settings.run.seed, settings.tokenize.val_fraction, found["moved"])
        return cls(found["train_bytes"], split)


@dataclass
class _Extremes:
    """The components with the lowest and the highest share, whole shards reduced to two."""

    seen: set[tuple[float, str]] = field(default_factory=set)

    def add(self, candidate: tuple[float, str]) -> None:
        pool = self.seen | {candidate}
        self.seen = {min(pool), max(pool)}


class SurveyStep:
    """Measures each source and finds the components that keep both sides from being empty."""

    name = "survey"

    def plan(self, context: Context) -> Plan:
        """One shard for each input shard."""
        return plan_shards(context)

    def run_shard(self, shard: Shard, context: Context) -> Counts:
        """Leave the shard's bytes by source and its extreme components in `work/survey/`."""
        settings = context.settings
        split = ValidationSplit(settings.run.seed, settings.tokenize.val_fraction)
        extremes, train_bytes = _Extremes(), Counter[str]()
        for document in read_shard(shard, context):
            if not isinstance(document, Document) or not document.text:
                continue
            group = component(document)
            extremes.add((share(split.seed, "validation", group), group))
            train_bytes[document.source] += document.num_bytes if split.side(document) == "train" else 0
        found = {"train_bytes": dict(train_bytes), "extremes": sorted(extremes.seen)}
        write_json(context.scratch("survey") / "shards" / f"{shard.stem}.json", found)
        return Counts()

    def finish(self, context: Context) -> dict[str, Any]:
        """Decide the split.

        Raises: InputError if there is no text, or only one component of it.
        """
        extremes, train_bytes = _Extremes(), Counter[str]()
        for path in sorted((context.scratch("survey") / "shards").glob("*.json")):
            found = read_json(path)
            train_bytes.update(found["train_bytes"])
            for value, group in found["extremes"]:
                extremes.add((value, group))
        moved = choose_moved(extremes.seen, context.settings.tokenize.val_fraction)
        write_json(context.scratch("survey") / "survey.json", {"train_bytes": dict(train_bytes), "moved": moved})
        return {"split": {"by": "candidate component", "moved": moved}}


def choose_moved(extremes: set[tuple[float, str]], val_fraction: float) -> str | None:
    """The component that must change sides so that neither is empty; None where both have some.

    Args:
        extremes: the components (share, id) with the lowest and the highest share.
        val_fraction: a share below it is validation.
    Raises: InputError if there are fewer than two components.
    """
    if not extremes:
        raise InputError("no text to tokenize: every document is empty or unreadable", "look at the earlier stages")
    if len(extremes) == 1:
        raise InputError(
            "only one document (or one group of near-duplicates): nothing would be left for validation",
            "give more documents, or split the text into several",
        )
    (lowest, first), (highest, last) = min(extremes), max(extremes)
    if lowest >= val_fraction:
        log.decided("validation", f"component {first}", f"none falls below tokenize.val_fraction {val_fraction:g}")
        return first
    if highest < val_fraction:
        log.decided("training", f"component {last}", f"all fall below tokenize.val_fraction {val_fraction:g}")
        return last
    return None
