"""`dedup`: which documents count as copies of each other, and which of them stays."""

from typing import Literal

from pydantic import Field, field_validator

from llmforge.config.base import Section, execution

Criterion = Literal["source", "quality", "length", "date"]


class MinHashSection(Section):
    """Near-duplicates: MinHash, locality-sensitive hashing, and proof by Jaccard similarity."""

    ngram_words: int = Field(5, ge=1, le=64, description="words in a shingle")
    bands: int = Field(14, ge=1, le=1024, description="bands of the signature")
    rows: int = Field(8, ge=1, le=1024, description="hash values in a band")
    verify_jaccard: float = Field(0.7, gt=0, le=1, description="a pair below this similarity is not a duplicate")


class DedupSection(Section):
    """Exact and near-duplicates."""

    data: str | None = execution(None, description="a folder or file of JSONL or Parquet, instead of curate's output")
    column: str | None = Field(None, description="the column or key of `data` that holds the text; null: found by name")
    exact: bool = Field(True, description="remove documents whose text is equal but for white space")
    minhash: MinHashSection | None = Field(MinHashSection(), description="null: no near-duplicates")
    keep: tuple[Criterion, ...] = Field(
        ("source", "length"),
        description="which of several copies stays, the first criterion first: "
        "source (by source_priority), quality (higher meta.quality), length (longer), date (later meta.date)",
    )
    source_priority: tuple[str, ...] = Field((), max_length=254, description="sources, the one to keep from first")
    max_drop_share: float = Field(0.9, gt=0, le=1, description="more than this share of one source is a warning")
    max_bad_fraction: float = Field(0.001, ge=0, le=1, description="share of bad records that stops the stage")
    max_record_bytes: int = Field(8 * 2**20, ge=1024, description="a larger record of `data` is quarantined")

    @field_validator("keep")
    @classmethod
    def _each_once(cls, value: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a criterion can be named once")
        return value
