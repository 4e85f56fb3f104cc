"""The tokenize stage: clean documents become a tokenizer and a token store.

    survey   measure the text, and split off validation by candidate component
    train    train the tokenizer on training documents only (or take an existing one)
    encode   write each document's tokens, boundaries, id and URL; then the index and the tokenizer's card

runs/<run>/tokenize/
    tokenizer.json  tokenizer_config.json  tokenizer_card.json
    index.json  train/  val/  quarantine/ (bad records of `--data`)
"""

from pathlib import Path
from typing import Any

from llmforge.config.schema import Settings, identity_settings
from llmforge.pipeline.counts import Counts
from llmforge.pipeline.document_files import find_document_files
from llmforge.pipeline.inputs import InputFile, Inputs, open_artifact
from llmforge.pipeline.stage import Step
from llmforge.pipeline.warnings import check_bad_fraction
from llmforge.tokenize.corpus import TOKENIZER_SOURCE
from llmforge.tokenize.encode import EncodeStep
from llmforge.tokenize.existing import find_tokenizer_files
from llmforge.tokenize.survey import SurveyStep
from llmforge.tokenize.training import TrainStep


class TokenizeStage:
    """Documents to tokens."""

    name = "tokenize"
    section = "tokenize"
    version = 2
    packages = ("tokenizers",)
    steps: tuple[Step, ...] = (SurveyStep(), TrainStep(), EncodeStep())

    def find_inputs(self, settings: Settings, run_folder: Path) -> Inputs:
        """The dedup artifact, or the user's own JSON-lines and Parquet files; and an existing tokenizer's files."""
        data, existing = settings.tokenize.data, settings.tokenize.tokenizer
        own = find_document_files(data) if data is not None else ()
        artifacts = () if data is not None else (("dedup", open_artifact(run_folder, "dedup")),)
        return Inputs((*own, *tokenizer_inputs(existing)), artifacts, vocabulary_sections(settings))

    def review(self, settings: Settings, counts: Counts) -> list[str]:
        """Too many bad records stop the stage; a validation share far from what was asked is a warning."""
        check_bad_fraction(counts, settings.tokenize.max_bad_fraction)
        return validation_warnings(counts, settings.tokenize.val_fraction)


def tokenizer_inputs(path: str | None) -> tuple[InputFile, ...]:
    """The files of an existing tokenizer, known by their content."""
    files = find_tokenizer_files(path) if path is not None else ()
    return tuple(InputFile(file, TOKENIZER_SOURCE, file.name, file.stat().st_size) for file in files)


def vocabulary_sections(settings: Settings) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What `vocab_size: auto` is chosen from; nothing where a size or an existing tokenizer is given."""
    if settings.tokenize.vocab_size != "auto" or settings.tokenize.tokenizer is not None:
        return ()
    if settings.model.is_chosen:
        return (("model", identity_settings(settings.model)),)
    plan = settings.plan_scaling
    names = ("budget_flops", "params", "tokens", "max_epochs")
    return (("plan_scaling", {name: getattr(plan, name) for name in names}),)


def validation_warnings(counts: Counts, val_fraction: float) -> list[str]:
    """Say so where the share of validation tokens is under a half, or over twice, of what was asked for."""
    val, train = counts.measures["val_tokens"], counts.measures["train_tokens"]
    found = val / max(1, val + train)
    if val_fraction / 2 <= found <= val_fraction * 2:
        return []
    return [
        f"validation holds {found:.1%} of the tokens, not {val_fraction:.1%}: documents and groups of near-duplicates "
        "are kept whole, and there are few or large ones"
    ]


TOKENIZE = TokenizeStage()
