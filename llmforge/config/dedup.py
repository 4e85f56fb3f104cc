"""`dedup`: which documents count as copies of each other, and which of them stays."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from llmforge.config.base import Section, execution

Criterion = Literal["source", "quality", "length", "date"]


class MinHashSection(Section):
    """Near-duplicates: MinHash, locality-sensitive hashing, and proof by comparing the real shingles."""

    ngram_words: int | None = Field(5, ge=1, le=64, description="words in a shingle; null where another unit is taken")
    ngram_characters: int | None = Field(None, ge=1, le=256, description="characters in a shingle, instead of words")
    ngram_tokens: int | None = Field(None, ge=1, le=64, description="tokens of `tokenizer` in a shingle, not words")
    tokenizer: str | None = Field(None, description="a tokenizer.json, for ngram_tokens")
    bands: int = Field(14, ge=1, le=1024, description="bands of the signature")
    rows: int = Field(8, ge=1, le=1024, description="hash values in a band")
    verify_jaccard: float = Field(0.7, gt=0, le=1, description="a pair below this similarity is not a duplicate")
    verify_containment: float | None = Field(
        None, gt=0, le=1, description="instead of verify_jaccard: the share of its shingles that the kept one must hold"
    )

    @model_validator(mode="after")
    def _one_unit(self) -> "MinHashSection":
        units = {"ngram_words": self.ngram_words, "ngram_characters": self.ngram_characters}
        units["ngram_tokens"] = self.ngram_tokens
        given = [name for name, size in units.items() if size is not None]
        if len(given) != 1:
            raise ValueError(f"a shingle is made of one unit; got {' and '.join(given) or 'none'}, set the others null")
        if (self.ngram_tokens is None) != (self.tokenizer is None):
            raise ValueError("ngram_tokens and tokenizer are given together, or neither is")
        return self

    @property
    def ngram(self) -> int:
        """Units in a shingle (count)."""
        return self.ngram_words or self.ngram_characters or self.ngram_tokens or 0

    @property
    def min_similarity(self) -> float:
        """From what similarity on a document is a duplicate, by the measure that is used."""
        return self.verify_jaccard if self.verify_containment is None else self.verify_containment


class PassageSection(Section):
    """Passages that stand in several places: the first stays, the others are cut out."""

    unit: Literal["line", "paragraph", "substring"] = Field(
        "line", description="lines, paragraphs with an empty line between, or any runs of min_tokens tokens or more"
    )
    scope: Literal["document", "site", "corpus"] = Field(
        "corpus", description="where a passage stays once: in each document, among the pages of each host, or in all"
    )
    min_characters: int = Field(50, ge=1, description="shorter lines and paragraphs stay")
    min_tokens: int = Field(
        50, ge=2, le=10_000, description="shorter substrings stay; tokens stand between white space, Han ones alone"
    )
    min_occurrences: int = Field(2, ge=2, description="from how many places on a passage is cut, but for the first")


class DedupSection(Section):
    """Exact and near-duplicates."""

    data: str | None = execution(None, description="a folder or file of JSONL or Parquet, instead of curate's output")
    column: str | None = Field(None, description="the column or key of `data` that holds the text; null: found by name")
    url: bool = Field(
        False, description="remove documents from one URL, however scheme, host and end of it are spelled"
    )
    exact: bool = Field(True, description="remove documents whose text is equal but for white space")
    minhash: MinHashSection | None = Field(MinHashSection(), description="null: no near-duplicates")
    passages: PassageSection | None = Field(None, description="cut repeated passages out of what stays; null: none")
    against: tuple[str, ...] = execution((), description="finished dedup folders: what is in them is not kept again")
    keep_index: bool = Field(False, description="keep signatures and shingles, for a later batch's `against`")
    keep: tuple[Criterion, ...] = Field(
        ("source", "length"),
        description="which of several copies stays, the first criterion first: "
        "source (by source_priority), quality (higher meta.quality), length (longer), date (later meta.date)",
    )
    source_priority: tuple[str, ...] = Field((), max_length=254, description="sources, the one to keep from first")
    max_drop_share: float = execution(
        0.9,
        gt=0,
        le=1,
        description="a source (of 20 documents or more) that would lose a larger share of them stops the stage",
    )
    max_bad_fraction: float = execution(0.001, ge=0, le=1, description="share of bad records that stops the stage")
    max_record_bytes: int = Field(8 * 2**20, ge=1024, description="a larger record of `data` is quarantined")

    @field_validator("keep")
    @classmethod
    def _each_once(cls, value: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a criterion can be named once")
        return value
